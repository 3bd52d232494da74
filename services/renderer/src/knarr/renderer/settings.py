"""The renderer's settings: one frozen value from the environment, with all mistakes at once."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knarr.bundle.sealing import MasterKey
from knarr.renderer.core.limits import MEBIBYTE, Limits
from knarr.service.settings import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See README.md for each variable."""

    nats_urls: tuple[str, ...]
    nkey_seed: str = field(repr=False)
    snapshot_key: MasterKey = field(repr=False)
    bundle_key: MasterKey = field(repr=False)
    state: Path
    listen: str
    kustomize: tuple[str, ...]
    allow_unconfined: bool
    limits: Limits
    check_seconds: float = 30.0  # between looks for streams that were made anew


def read_settings(environment: Mapping[str, str]) -> Settings:
    """KNR6001 with every mistake."""
    reader = Reader(environment)
    settings = Settings(
        nats_urls=reader.words("KNARR_NATS_URL"),
        nkey_seed=reader.secret("KNARR_NKEY_SEED_FILE").decode("ascii", "replace")
        if environment.get("KNARR_NKEY_SEED_FILE")
        else "",
        snapshot_key=MasterKey(reader.key("KNARR_SNAPSHOT_KEY_FILE")),
        bundle_key=MasterKey(reader.key("KNARR_BUNDLE_KEY_FILE")),
        state=reader.path("KNARR_STATE_DIR"),
        listen=reader.text("KNARR_LISTEN", "127.0.0.1:0"),
        kustomize=tuple(shlex.split(reader.text("KNARR_KUSTOMIZE", "kubectl kustomize"))),
        allow_unconfined=reader.flag("KNARR_ALLOW_UNCONFINED"),
        limits=Limits(
            seconds=reader.number("KNARR_RENDER_SECONDS", 30.0),
            memory_bytes=reader.whole("KNARR_RENDER_MEMORY_MIB", 1024) * MEBIBYTE,
        ),
        check_seconds=reader.number("KNARR_CHECK_SECONDS", 30.0),
    )
    reader.done()
    return settings
