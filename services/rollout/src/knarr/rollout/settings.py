"""Rollout's settings, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.messaging.broker import BrokerSettings
from knarr.service.settings import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One frozen value. `signing_seed` and `bundle_master` are secret: 32 raw bytes each."""

    broker: BrokerSettings
    dsn: str = field(repr=False)
    epoch: str
    signing_seed: bytes = field(repr=False)
    bundle_master: bytes = field(repr=False)
    listen: str
    check_seconds: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """KNR6001 with every mistake at once."""
    read = Reader(environment)
    signing_seed = read.key("KNARR_SIGNING_KEY_FILE")
    bundle_master = read.key("KNARR_BUNDLE_KEY_FILE")
    settings = Settings(
        broker=BrokerSettings(
            urls=read.words("KNARR_NATS_URL"),
            name="rollout",
            nkey_seed=read.secret("KNARR_NKEY_SEED_FILE").decode(errors="replace"),
            inbox_prefix="_INBOX_rollout",
        ),
        dsn=read.text("KNARR_DATABASE_DSN"),
        epoch=read.text("KNARR_EPOCH"),
        signing_seed=signing_seed,
        bundle_master=bundle_master,
        listen=read.text("KNARR_LISTEN", "127.0.0.1:0"),
        check_seconds=read.number("KNARR_CHECK_SECONDS", 60.0),
    )
    read.done()
    return settings
