"""The environment of the status service, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.service.settings import Reader
from knarr.status.core.freshness import Patience


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`hosts`: names under which the server may be addressed, beside those of `listen` and loopback."""

    nats_urls: tuple[str, ...]
    nkey_seed: str = field(repr=False)
    database_dsn: str = field(repr=False)
    api_token: str = field(repr=False)
    listen: str
    hosts: frozenset[str]
    stage_label: str
    patience: Patience
    retention_days: float
    report_readers: tuple[str, ...]
    command_seconds: float
    housekeeping_seconds: float
    facts_seconds: float
    unknown_seconds: float


def read_settings(environment: Mapping[str, str]) -> Settings:
    """KNR6001 with every mistake at once."""
    reader = Reader(environment)
    listen = reader.text("KNARR_LISTEN", "127.0.0.1:8400")
    patience = Patience(
        report_interval_seconds=reader.number("KNARR_REPORT_INTERVAL_SECONDS", 60.0),
        missed_reports=reader.whole("KNARR_MISSED_REPORTS", 3),
    )
    settings = Settings(
        nats_urls=reader.words("KNARR_NATS_URL"),
        nkey_seed=_optional_secret(reader, environment, "KNARR_NKEY_SEED_FILE"),
        database_dsn=reader.text("KNARR_DATABASE_DSN"),
        api_token=_optional_secret(reader, environment, "KNARR_API_TOKEN_FILE"),
        listen=listen,
        hosts=_hosts(listen, reader.words("KNARR_HOSTS", ())),
        stage_label=reader.text("KNARR_STAGE_LABEL", "env"),
        patience=patience,
        retention_days=reader.number("KNARR_RETENTION_DAYS", 30.0),
        report_readers=reader.words("KNARR_REPORT_READERS", ("rollout-apps",)),
        command_seconds=reader.number("KNARR_COMMAND_SECONDS", 10.0),
        housekeeping_seconds=reader.number("KNARR_HOUSEKEEPING_SECONDS", 2.0),
        facts_seconds=reader.number("KNARR_FACTS_SECONDS", 60.0),
        unknown_seconds=reader.number("KNARR_UNKNOWN_SECONDS", 600.0),
    )
    if not listen.rpartition(":")[2].isdigit():
        reader.mistake("KNARR_LISTEN is not host:port")
    if patience.report_interval_seconds <= 0 or patience.missed_reports < 1:
        reader.mistake("KNARR_REPORT_INTERVAL_SECONDS and KNARR_MISSED_REPORTS must be above zero")
    reader.done()
    return settings


def _optional_secret(reader: Reader, environment: Mapping[str, str], name: str) -> str:
    return reader.secret(name).decode() if environment.get(name) else ""


def _hosts(listen: str, named: tuple[str, ...]) -> frozenset[str]:
    own = listen.rpartition(":")[0].lower()
    known = {"localhost", "127.0.0.1", "[::1]", *(name.lower() for name in named)}
    return frozenset(known | ({own} if own not in ("", "0.0.0.0", "[::]") else set()))  # noqa: S104
