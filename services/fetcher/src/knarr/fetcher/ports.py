"""What the fetcher needs from the world.

Every method may raise Retryable (the world was not ready) or Rejected (this input is refused), numbered; nothing else
is part of the contract. All waits have a deadline inside the adapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from knarr.fetcher.core.chart_index import Offer
from knarr.fetcher.core.manifest import Place
from knarr.fetcher.core.source import Ref, Source
from knarr.fetcher.core.tree import TreeDelta
from knarr.pipeline.chart_lock import ChartReference
from knarr.pipeline.snapshot import CommitObserved, SealedAddress, SnapshotStored, SourceReported

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A commit that the ref names and that the mirror now holds. `tree_id` is that of the followed folder.

    `signature` and `signed` are the raw signature and the bytes it covers; empty when the commit has none.
    """

    sha: str
    ref: str
    tree_id: str
    author: str = ""
    subject: str = ""
    committed_at_ms: int = 0
    signature: bytes = field(default=b"", repr=False)
    signed: bytes = field(default=b"", repr=False)
    fetched: bool = False


class Files(Protocol):
    """A source's files at its commits."""

    async def changes(self, old_tree: str | None, new_tree: str) -> TreeDelta:
        """From one tree (hex id) to another; complete when `old_tree` is None or not in the mirror."""
        ...

    async def sizes(self, content_ids: Iterable[bytes]) -> Mapping[bytes, int]:
        """Bytes of each content, without reading it."""
        ...

    async def read(self, content_ids: Iterable[bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """(content id, content) in the order asked for."""
        ...


class Repository(Files, Protocol):
    """One source's repository: the remote, and the mirror of it."""

    async def look(self, ref: Ref) -> Sighting:
        """Asks the remote for the ref in one request; fetches only when the mirror lacks the commit."""
        ...

    async def file(self, sha: str, path: str, limit: int) -> bytes | None:
        """One regular file below the followed folder; None when the commit has none there. KNR1011 above `limit`."""
        ...


class OpenPgp(Protocol):
    """Checks OpenPGP signatures."""

    def signer(self, signature: bytes, signed: bytes, certificates: Iterable[str]) -> str | None:
        """Whose certificate (armoured) made the signature over `signed`; None when none of them did. Milliseconds."""
        ...


class OpenRepository(Protocol):
    """Makes the repository of a source at hand, and lets go of it."""

    def __call__(self, source: Source) -> AbstractAsyncContextManager[Repository]:
        """KNR1023 when the source's credentials do not fit. Asks nobody yet."""
        ...


class Charts(Protocol):
    """Helm repositories and OCI registries."""

    async def offers(self, reference: ChartReference) -> tuple[Offer, ...]:
        """The versions that the repository has. KNR1050–KNR1057."""
        ...

    async def archive(self, reference: ChartReference, offer: Offer) -> bytes:
        """The chart's archive, with the sha256 that the repository states, if it does. KNR1050–KNR1057."""
        ...


class Archives(Protocol):
    """Archives by the hex sha256 of their bytes. May be lost at any time."""

    async def load(self, digest: str) -> bytes | None:
        """The archive, whose digest has been checked; None when it is not there."""
        ...

    async def keep(self, archive: bytes) -> None:
        """Keeps it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """Where sealed bytes lie now, and how many of them were new to the stream."""

    address: SealedAddress
    new_bytes: int


class Vault(Protocol):
    """Sealed, write-once storage. Twice equals once."""

    async def identity(self) -> str:
        """Names the stream as long as it lives: another text means that everything must be stored again."""
        ...

    async def put(self, value: Any) -> Put:
        """Seals and stores a message value."""
        ...

    async def get(self, kind: type[T], address: SealedAddress) -> T | None:
        """The value, or None when a part of it is not stored or does not open with today's key."""
        ...

    async def present(self) -> Mapping[bytes, int]:
        """How many parts are stored of each address."""
        ...


class ContentIndex(Protocol):
    """Which contents are stored in which packs of which stream. May be lost at any time."""

    async def places(self, stream: str, content_ids: Iterable[bytes]) -> dict[bytes, Place]:
        """Of those that are known."""
        ...

    async def add(self, stream: str, places: Mapping[bytes, Place]) -> None:
        """Remembers where contents lie, after they were stored."""
        ...

    async def keep_only(self, stream: str, present: Mapping[bytes, int]) -> None:
        """Forgets packs of other streams and packs of which not all parts are present."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is kept of a source between runs. `stored` lies in the stream that `stream` names.

    `last_number` may be above the stored commit's: a crash came between observing and storing.
    """

    last_number: int = 0
    stored: SnapshotStored | None = None
    stream: str = ""


class Memory(Protocol):
    """The state folder. Losing it costs work, never correctness."""

    async def recall(self, source: str) -> Remembered:
        """What is kept of the source; empty when nothing is."""
        ...

    async def remember(self, source: str, remembered: Remembered) -> None:
        """Keeps it."""
        ...

    async def recall_fleet_file(self) -> bytes:
        """The last fleet.yaml whose sources could be read; empty when there was none."""
        ...

    async def remember_fleet_file(self, content: bytes) -> None:
        """Keeps it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The newest message of a source: its place in the stream, and the snapshot if it could be read."""

    sequence: int = 0
    snapshot: SnapshotStored | None = None


class Log(Protocol):
    """What the others are told."""

    async def newest(self, source: str) -> Published:
        """The newest snapshot of the source."""
        ...

    async def observed(self, observed: CommitObserved) -> None:
        """A ref moved; the snapshot follows."""
        ...

    async def stored(self, snapshot: SnapshotStored, after: int) -> bool:
        """Publishes the snapshot unless the newest is no longer at sequence `after`; False then."""
        ...

    async def newest_report(self, source: str) -> SourceReported | None:
        """The newest word about whether the source can be read."""
        ...

    async def report(self, report: SourceReported) -> None:
        """Says whether the source can be read."""
        ...
