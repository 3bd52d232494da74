"""The fetcher's settings, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knarr.bundle.sealing import MasterKey
from knarr.fetcher.adapters.git.callbacks import Bounds
from knarr.fetcher.core.address import AddressRules, checked_address
from knarr.fetcher.core.refs import check_ref, parse_ref
from knarr.fetcher.core.signers_file import read_signers
from knarr.fetcher.core.source import Signers, Source
from knarr.fetcher.core.tree import Limits
from knarr.fetcher.follow import Rhythm
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.names import FLEET_SOURCE
from knarr.service.settings import Reader

_KEY_BYTES = 32
_SIGNERS = "KNARR_FLEET_SIGNERS_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The way to hosts, as the fetcher and the command line go it."""

    plain_http: bool = False
    chart_hosts: frozenset[str] = frozenset()
    ca_bundle: Path | None = None
    proxy: str = field(default="", repr=False)


def read_network(reader: Reader, environment: Mapping[str, str]) -> Network:
    """Mistakes are the reader's to tell, such as a bundle that does not exist."""
    bundle = _optional_path(reader, environment, "KNARR_CA_BUNDLE")
    if bundle is not None and not bundle.is_file():
        reader.mistake(f"KNARR_CA_BUNDLE names no file: {bundle}")
    return Network(
        plain_http=reader.flag("KNARR_ALLOW_PLAIN_HTTP"),
        chart_hosts=frozenset(host.lower() for host in reader.words("KNARR_CHART_HOSTS", ())),
        ca_bundle=bundle,
        proxy=reader.text("KNARR_PROXY", ""),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Secrets are left out of its text."""

    nats_urls: tuple[str, ...]
    nkey_seed: str = field(repr=False)
    state_dir: Path
    fleet: Source
    rhythm: Rhythm
    snapshot_key: MasterKey = field(repr=False)
    webhook_secret: bytes = field(repr=False)
    listen: str
    credentials_file: Path | None
    network: Network
    rules: AddressRules
    bounds: Bounds
    limits: Limits


def read_settings(environment: Mapping[str, str]) -> Settings:
    """KNR6001 with every mistake at once."""
    reader = Reader(environment)
    network = read_network(reader, environment)
    rules = AddressRules(local_paths=reader.flag("KNARR_ALLOW_LOCAL_PATHS"), plain_http=network.plain_http)
    limits = Limits(
        files=reader.whole("KNARR_MAX_FILES", Limits().files),
        file_bytes=reader.whole("KNARR_MAX_FILE_BYTES", Limits().file_bytes),
    )
    settings = Settings(
        nats_urls=reader.words("KNARR_NATS_URL"),
        nkey_seed=_optional_secret(reader, environment, "KNARR_NKEY_SEED_FILE").decode("ascii", "replace"),
        state_dir=reader.path("KNARR_STATE_DIR"),
        fleet=_fleet(reader, environment, rules),
        rhythm=Rhythm(
            poll_seconds=reader.number("KNARR_POLL_SECONDS", Rhythm().poll_seconds),
            audit_seconds=reader.number("KNARR_AUDIT_SECONDS", Rhythm().audit_seconds),
        ),
        snapshot_key=_key(reader, "KNARR_SNAPSHOT_KEY_FILE"),
        webhook_secret=_optional_secret(reader, environment, "KNARR_WEBHOOK_SECRET_FILE"),
        listen=reader.text("KNARR_LISTEN", "127.0.0.1:0"),
        credentials_file=_optional_path(reader, environment, "KNARR_CREDENTIALS_FILE"),
        network=network,
        rules=rules,
        bounds=Bounds(
            deadline_seconds=reader.number("KNARR_GIT_DEADLINE_SECONDS", Bounds().deadline_seconds),
            fetch_bytes=reader.whole("KNARR_MAX_FETCH_BYTES", Bounds().fetch_bytes),
        ),
        limits=limits,
    )
    if settings.rhythm.poll_seconds <= 0 or settings.rhythm.audit_seconds <= 0:
        reader.mistake("KNARR_POLL_SECONDS and KNARR_AUDIT_SECONDS must be above 0")
    reader.done()
    return settings


def _fleet(reader: Reader, environment: Mapping[str, str], rules: AddressRules) -> Source:
    url = reader.text("KNARR_FLEET_URL")
    ref = parse_ref(reader.text("KNARR_FLEET_REF", ""))
    root = reader.text("KNARR_FLEET_PATH", "").strip("/")
    if wrong := check_ref(ref):
        reader.mistake(f"KNARR_FLEET_REF: {wrong}")
    if any(part in ("", ".", "..") for part in root.split("/")) and root:
        reader.mistake("KNARR_FLEET_PATH is not a folder inside the repository")
    try:
        url = checked_address(url, rules) if url else ""
    except KnarrError as error:
        reader.mistake(f"KNARR_FLEET_URL: {error.message}")
    credentials = reader.text("KNARR_FLEET_CREDENTIALS", "")
    signers: Signers | None = Signers()
    if environment.get(_SIGNERS):
        signers = read_signers(reader.secret(_SIGNERS).decode("utf-8", "replace"))
    if signers is None:
        reader.mistake(f"{_SIGNERS} does not name a file of ssh-ed25519 keys and OpenPGP certificates")
    return Source(name=FLEET_SOURCE, url=url, ref=ref, root=root, credentials=credentials, signers=signers or Signers())


def _key(reader: Reader, name: str) -> MasterKey:
    """32 raw bytes, as they are: a key may end with the byte of a newline."""
    path = reader.path(name)
    if path == Path():
        return MasterKey(b"")
    try:
        content = path.read_bytes()
    except OSError:
        content = b""
    if len(content) != _KEY_BYTES:
        reader.mistake(f"{name} does not name a file of {_KEY_BYTES} bytes")
    return MasterKey(content)


def _optional_secret(reader: Reader, environment: Mapping[str, str], name: str) -> bytes:
    return reader.secret(name) if environment.get(name) else b""


def _optional_path(reader: Reader, environment: Mapping[str, str], name: str) -> Path | None:
    return reader.path(name) if environment.get(name) else None
