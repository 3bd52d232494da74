"""What the renderer needs from the world. Adapters implement these; tests have fakes that pass the same suites."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from knarr.pipeline.failure import Failure
from knarr.pipeline.names import AppName, SourceName
from knarr.pipeline.revision import BundleRef, ClusterFacts, CommitRendered, RenderFailed, RevisionRendered
from knarr.pipeline.snapshot import Commit
from knarr.renderer.core.tree import Contents, File, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A source at its newest commit. `tree` is None when it could not be read whole; `failures` says why.

    `missing`: a part of the newest commit is not stored. It has been asked for; until it comes this is the commit
    before, where that is known.
    """

    commit: Commit
    tree: Tree | None
    contents: Contents
    failures: tuple[Failure, ...] = ()
    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsRead:
    """What clusters say about themselves, up to `number` (a sequence of FACTS)."""

    facts: tuple[ClusterFacts, ...] = ()
    number: int = 0


class Snapshots(Protocol):
    """The newest snapshot of every source."""

    async def newest(self) -> Mapping[SourceName, Snapshot]:
        """By source. Raises Retryable when the broker does not answer: an empty answer means that there is none."""
        ...


class Facts(Protocol):
    """What clusters say about themselves."""

    async def newest(self) -> FactsRead:
        """All that is known now. Raises Retryable when the broker does not answer."""
        ...


class Bundles(Protocol):
    """Sealed bundles, stored once per content."""

    @property
    def stored(self) -> int:
        """How many bundles were new, since the start."""
        ...

    @property
    def epoch(self) -> str:
        """Changes when the store was emptied behind our back: what was published must be published again."""
        ...

    async def publish(self, plain: bytes, object_count: int) -> BundleRef:
        """Seals and stores `plain` unless it is there; twice equals once. Raises Retryable."""
        ...


class Revisions(Protocol):
    """What the renderer has said."""

    async def published(self) -> Mapping[AppName, RevisionRendered]:
        """The newest revision of every app, as it is stored now. Raises Retryable."""
        ...

    async def publish(self, revision: RevisionRendered) -> bool:
        """Stores it; False when a newer one is there, which stays (compare-and-set). Raises Retryable."""
        ...

    async def publish_failure(self, failed: RenderFailed) -> None:
        """Stores it, unless a newer one is there. Raises Retryable."""
        ...

    async def close(self, rendered: CommitRendered) -> None:
        """Says that the commit is done, after all else. Raises Retryable."""
        ...


def _as_it_is(words: str) -> str:
    return words


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolJob:
    """One run of a renderer: files of the source (as laid out), the folder to render, and options as plain JSON.

    `source` is whose place it takes; `seconds` what it may take, at most what the limits say. `words` makes what the
    tool says fit to be shown: nothing else of it may leave.
    """

    renderer: str
    folder: str
    files: tuple[File, ...]
    contents: Contents
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    seconds: float | None = None
    words: Callable[[str], str] = _as_it_is


class Tool(Protocol):
    """A renderer that runs out of process: kustomize, helm or jsonnet."""

    @property
    def version(self) -> str:
        """Part of every cache key."""
        ...

    async def run(self, job: ToolJob) -> tuple[tuple[str, bytes], ...]:
        """(origin, YAML) pieces of the output.

        Raises Rejected KNR2401–KNR2408 when the input is refused or does not fit the limits, Retryable KNR2409 when
        the machine is at fault.
        """
        ...


class Cache(Protocol):
    """Renderings by content. May forget at any time; never gives back what was not put there under that key."""

    def get(self, key: bytes) -> bytes | None:
        """What was put under `key`, or None."""
        ...

    def put(self, key: bytes, value: bytes) -> None:
        """Keeps it for as long as there is room."""
        ...
