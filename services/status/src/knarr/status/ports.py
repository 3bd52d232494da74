"""What the status service needs from the world.

Writers are idempotent: the same message twice, or an older one after a newer one, changes nothing. They raise
Rejected when the database refuses a value for what it is (that message alone is at fault) and Retryable when the
database cannot be asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from knarr.pipeline.decision import Command
from knarr.pipeline.report import PlanReport
from knarr.pipeline.revision import ClusterFacts
from knarr.status.core.position import Position
from knarr.status.core.rows import (
    AssignedRow,
    BundleRow,
    ClusterRow,
    CommitRow,
    EventRow,
    PlacementRow,
    RevisionRow,
    StrangerRow,
    TransitionRow,
    VariantRow,
    VerdictRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message from a stream, opened."""

    subject: str
    position: Position
    stored_at_ms: int
    value: Any = None
    trace_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRows:
    """All rows of one batch of reports; keys unique and sorted."""

    clusters: Sequence[ClusterRow] = ()
    placements: Sequence[PlacementRow] = ()
    transitions: Sequence[TransitionRow] = ()
    # Cluster → when it was last heard in this batch.
    heard: Mapping[str, int]
    # Clusters last heard before this are silent.
    silent_before_ms: int
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A closed commit, as rows."""

    position: Position
    commit: CommitRow
    started_at_ms: int
    ended_at_ms: int
    renders: int
    cache_hits: int
    blobs_published: int
    outcomes_json: str
    failures_json: str
    # (app, outcome, revision, code, source)
    apps: Sequence[tuple[str, str, str, str, str]]
    # None: the fleet could not be read, so nothing is concluded about its clusters.
    members: Mapping[str, Mapping[str, str]] | None
    trace_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision, as rows."""

    position: Position
    epoch: str
    number: int
    commit: CommitRow | None
    fleet_commit: CommitRow | None
    decided_at_ms: int
    command_id: str
    failures_json: str
    detached: Sequence[str]
    unenrolled: Sequence[str]
    verdicts: Sequence[VerdictRow]
    assigned: Sequence[AssignedRow]
    assigned_clusters: int
    trace_id: str
    notices: Sequence[EventRow] = ()
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """Whether a source can be read."""

    position: Position
    source: str
    reachable: bool
    failure_json: str | None
    since_ms: int
    checked_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPurge:
    """A removed app's report subject that may go when every reader of REPORTS is past it."""

    cluster: str
    app: str
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """A cluster with reports on apps that nobody knows, the newest of them at `sequence`.

    `more`: than are remembered, and of known apps too something may not have been looked at.
    """

    cluster: str
    sequence: int
    more: bool


class ReportStore(Protocol):
    """Reports and life signs."""

    async def record_reports(self, rows: ReportRows) -> None: ...
    async def silence(self, silent_before_ms: int, now_ms: int) -> int: ...
    async def pending_purges(self, limit: int) -> Sequence[PendingPurge]: ...
    async def purged(self, purge: PendingPurge) -> None: ...
    async def forget_before(self, before_ms: int) -> int: ...


class StrangerStore(Protocol):
    """Reports on apps that neither Git nor rollout knows."""

    async def known_strangers(self, limit: int) -> Sequence[tuple[str, str]]: ...
    async def forget(self, cluster: str, app: str) -> None: ...
    async def overdue(self, before_ms: int, limit: int) -> Sequence[Overdue]: ...
    async def known_apps(self, names: Iterable[str]) -> frozenset[str]: ...
    async def sent_away(self, overdue: Overdue, told: EventRow | None) -> None: ...


class LetterStore(Protocol):
    """What was refused."""

    async def record_letters(
        self, events: Sequence[EventRow], strangers: Sequence[StrangerRow], now_ms: int
    ) -> None: ...


class IntentStore(Protocol):
    """What should run: commits, revisions, decisions."""

    async def record_snapshot(
        self, commit: CommitRow, stored_at_ms: int | None, sizes: tuple[int, int, int], trace_id: str
    ) -> None: ...
    async def record_revision(
        self, position: Position, revision: RevisionRow, variants: Sequence[VariantRow], bundles: Sequence[BundleRow]
    ) -> None: ...
    async def record_failure(
        self, position: Position, app: str, commit: CommitRow | None, failures_json: str, told: EventRow
    ) -> None: ...
    async def record_rendered(self, rendered: Rendered) -> None: ...
    async def record_decision(self, decided: Decided) -> None: ...


class SourceStore(Protocol):
    """Sources."""

    async def record_source(self, state: SourceState) -> None: ...


class CommandStore(Protocol):
    """Operator commands, for the audit and for the answer."""

    async def record_command(self, command: Command) -> None: ...
    async def record_handled(self, command_id: str, accepted: bool, failure_json: str | None, at_ms: int) -> None: ...
    async def handled(self, command_id: str) -> tuple[bool, Any] | None: ...


class Outbox(Protocol):
    """What is recorded and not yet told."""

    async def unpublished_events(self, limit: int) -> Sequence[EventRow]: ...
    async def events_published(self, event_ids: Sequence[str]) -> None: ...
    async def unpublished_facts(self, limit: int, told_before_ms: int) -> Sequence[ClusterFacts]: ...
    async def facts_published(self, facts: Sequence[ClusterFacts], now_ms: int) -> None: ...
    async def republish_facts(self, told: int) -> int: ...


class Teller(Protocol):
    """Publishes what the outbox holds. Twice is as good as once."""

    async def tell_event(self, row: EventRow) -> None: ...
    async def tell_facts(self, facts: ClusterFacts) -> None: ...
    async def command(self, command: Command) -> None: ...
    async def facts_told(self) -> int: ...


class Plans(Protocol):
    """The newest answer to a dry run, straight from the stream: it is asked for, read once, and kept nowhere else."""

    async def newest_plan(self, cluster: str) -> PlanReport | None: ...


class ReportStream(Protocol):
    """The REPORTS stream beyond consuming it."""

    async def purge_if_read(self, purge: PendingPurge) -> bool: ...
    async def newest_report(self, cluster: str, app: str) -> Message | None: ...
    async def apps_reported(self, cluster: str) -> tuple[frozenset[str], int]: ...
    async def purge_reports_if_read(self, cluster: str, sequence: int) -> bool: ...
    async def purge_report(self, cluster: str, app: str, sequence: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed in the read model since the last one: topics, and the clusters of it (None: any of them)."""

    topics: frozenset[str]
    clusters: frozenset[str] | None


class ChangeFeed(Protocol):
    """Says *look*; may say it too often, and says it with `clusters=None` whenever something may have been missed."""

    def changes(self) -> AsyncIterator[Changes]: ...


class ReadModel(Protocol):
    """Named queries (adapters/postgres/sql/reading.sql); Retryable when the database cannot be asked."""

    async def rows(self, query: str, *parameters: Any) -> Sequence[Mapping[str, Any]]: ...
