"""The lock of a snapshot: which chart each reference of its files means, pinned by version and digest.

The fetcher writes it (SnapshotStored.lock, and LOCK_FILE among the snapshot's contents); the renderer reads it. The
charts' files lie in the same snapshot, below CHARTS_FOLDER. Nothing in Git can put anything below RESERVED_FOLDER.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

RESERVED_FOLDER = ".knarr"
CHARTS_FOLDER = f"{RESERVED_FOLDER}/charts"
LOCK_FILE = f"{RESERVED_FOLDER}/charts.json"
_FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartReference:
    """What a knarr.yaml, or a Chart.yaml among its dependencies, asks for.

    `version`: a semver range; `locked`: the version that the chart's own Chart.lock names; `credentials`: a name in the
    fetcher's credentials.
    """

    repository: str
    name: str
    version: str
    credentials: str = ""
    locked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedChart:
    """A reference, and what it is pinned to: the chart's version, the sha256 of its archive, the folder of its files.

    A reference that could not be resolved has no folder, but the number and words of its failure.
    """

    reference: ChartReference
    version: str = ""
    digest: str = ""
    code: str = ""
    message: str = ""

    @property
    def folder(self) -> str:
        """Where the files lie in the snapshot; empty when nothing is pinned."""
        return f"{CHARTS_FOLDER}/{self.digest}" if self.digest and not self.code else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLock:
    """Every reference of a snapshot once, and which files hold references, as (path, reference)."""

    charts: tuple[LockedChart, ...] = ()
    uses: tuple[tuple[str, ChartReference], ...] = ()

    def chart(self, reference: ChartReference) -> LockedChart | None:
        """What the reference means."""
        return next((c for c in self.charts if c.reference == reference), None)

    @property
    def folders(self) -> frozenset[str]:
        """Folders of the charts that are pinned."""
        return frozenset(c.folder for c in self.charts if c.folder)


def lock_to_bytes(lock: ChartLock) -> bytes:
    """Canonical: equal locks give equal bytes. Empty for a lock without references."""
    if not lock.uses:
        return b""
    charts = sorted((asdict(c) for c in lock.charts), key=lambda c: json.dumps(c, sort_keys=True))
    uses = sorted(([path, asdict(r)] for path, r in lock.uses), key=lambda u: json.dumps(u, sort_keys=True))
    document = {"format": _FORMAT, "charts": charts, "uses": uses}
    return json.dumps(document, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode()


def lock_from_bytes(data: bytes) -> ChartLock:
    """ValueError for bytes that are no lock of this format. Empty bytes are the empty lock."""
    if not data:
        return ChartLock()
    document = json.loads(data)
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        raise ValueError("not a lock of this format")
    try:
        return ChartLock(
            charts=tuple(
                LockedChart(reference=_reference(c.pop("reference")), **_texts(c, LockedChart))
                for c in document["charts"]
            ),
            uses=tuple((str(path), _reference(r)) for path, r in document["uses"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the lock lacks something") from error


def _reference(value: object) -> ChartReference:
    return ChartReference(**_texts(value, ChartReference))


def _texts(value: object, kind: type) -> dict[str, str]:
    names = {f.name for f in fields(kind)}
    if not isinstance(value, dict) or not all(k in names and isinstance(v, str) for k, v in value.items()):
        raise ValueError("the lock holds something else")
    return value
