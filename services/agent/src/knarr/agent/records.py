"""What the agent remembers of each app, and how it is kept in the Store.

Owned by reconcile; nobody else changes a Record. Values are zstd-compressed JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import orjson
import zstandard

from knarr.agent.core.drift import Fight
from knarr.agent.core.hooks import HookRun, runs_from_json, runs_to_json
from knarr.agent.core.inventory import Entry, entries_from_json, entries_to_json
from knarr.bundle.header import Header, header_from_json, header_to_json
from knarr.pipeline.errors import rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import AppName, ObjectId
from knarr.pipeline.report import Adoption, AppState, DriftEntry

APP_PREFIX = "app."
BUNDLE_PREFIX = "bundle."
ASSIGNMENT_KEY = "assignment"
PIN_KEY = "pin"
KEYS_KEY = "keys"
_MAX_PLAIN = 64_000_000


@dataclass(slots=True, kw_only=True)
class Record:
    """One app. Times in milliseconds by the agent's clock.

    `digest` is the bundle that is applied or being applied, `applied` the last one that was applied whole, `assigned`
    the last one that was assigned, begun or not; `loaded` (not kept) the assigned digest whose object ids are known.
    `entries` is the inventory. `reasons` (not kept) is what pods say of workloads that are not ready. `left` and
    `recreated` say when objects left the app or were deleted to be created again (see window); `renamed` are entries
    that came again under another hash suffix.
    """

    app: AppName
    digest: bytes = b""
    applied: bytes = b""
    assigned: bytes = b""
    loaded: bytes = b""
    generation: int = 0
    header: Header = field(default_factory=Header)
    entries: dict[ObjectId, Entry] = field(default_factory=dict)
    state: AppState = AppState.WAITING
    message: str = ""
    since_ms: int = 0
    changed_ms: int = 0
    applied_ms: int = 0
    unhealthy_ms: int = 0
    traceparent: str = ""
    failures: tuple[Failure, ...] = ()
    failed: tuple[Failure, ...] = ()
    held: Failure | None = None
    complete: bool = False
    drifted: bool = False
    deferred: bool = False
    waits_for: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    adoptions: tuple[Adoption, ...] = ()
    drift: tuple[DriftEntry, ...] = ()
    fights: dict[ObjectId, Fight] = field(default_factory=dict)
    attempts: int = 0
    reasons: dict[ObjectId, str] = field(default_factory=dict)
    hooks: dict[str, HookRun] = field(default_factory=dict)
    left: dict[ObjectId, int] = field(default_factory=dict)
    recreated: dict[ObjectId, int] = field(default_factory=dict)
    renamed: frozenset[ObjectId] = frozenset()


def record_to_bytes(record: Record) -> bytes:
    """What of a record survives a restart."""
    document = {
        "format": 1,
        "app": record.app,
        "digest": record.digest.hex(),
        "applied": record.applied.hex(),
        "generation": record.generation,
        "header": header_to_json(record.header),
        "entries": entries_to_json(record.entries),
        "state": record.state.value,
        "since_ms": record.since_ms,
        "changed_ms": record.changed_ms,
        "applied_ms": record.applied_ms,
        "traceparent": record.traceparent,
        "complete": record.complete,
        "drift": [{f.name: _plain(getattr(d, f.name)) for f in fields(d)} for d in record.drift],
        "hooks": runs_to_json(record.hooks),
        **({"assigned": record.assigned.hex()} if record.assigned != record.digest else {}),
        **({"left": record.left} if record.left else {}),
        **({"recreated": record.recreated} if record.recreated else {}),
        **({"renamed": sorted(record.renamed)} if record.renamed else {}),
    }
    return zstandard.ZstdCompressor(level=3).compress(orjson.dumps(document))


def record_from_bytes(data: bytes) -> Record:
    """KNR4008 when it cannot be read."""
    try:
        found: dict[str, Any] = orjson.loads(decompressed(data))
        return Record(
            app=AppName(found["app"]),
            digest=bytes.fromhex(found["digest"]),
            applied=bytes.fromhex(found["applied"]),
            assigned=bytes.fromhex(found.get("assigned", found["digest"])),
            generation=found["generation"],
            header=header_from_json(found["header"]),
            entries=entries_from_json(found["entries"]),
            state=AppState(found["state"]),
            since_ms=found["since_ms"],
            changed_ms=found["changed_ms"],
            applied_ms=found["applied_ms"],
            traceparent=found["traceparent"],
            complete=found["complete"],
            drift=tuple(DriftEntry(**{**d, "paths": tuple(d["paths"])}) for d in found["drift"]),
            hooks=runs_from_json(found.get("hooks", {})),
            left=_times(found.get("left", {})),
            recreated=_times(found.get("recreated", {})),
            renamed=frozenset(ObjectId(i) for i in found.get("renamed", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise rejected("KNR4008", f"an app's record cannot be read: {type(error).__name__}") from error


def compressed(plain: bytes) -> bytes:
    """For the store."""
    return zstandard.ZstdCompressor(level=3).compress(plain)


def decompressed(data: bytes) -> bytes:
    """From the store; KNR4008 when it is not what was stored."""
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            plain = reader.read(_MAX_PLAIN + 1)
    except zstandard.ZstdError as error:
        raise rejected("KNR4008", "a stored value is not zstd data") from error
    if len(plain) > _MAX_PLAIN:
        raise rejected("KNR4008", "a stored value is larger than the agent ever writes")
    return plain


def _times(found: dict[str, int]) -> dict[ObjectId, int]:
    return {ObjectId(identity): int(at) for identity, at in found.items()}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
