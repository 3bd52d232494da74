"""Messages → read model: the flow that every stream's consumer runs.

A batch's effect is durable before it is acknowledged. A message that can never be recorded goes to the dead letters
with its number and holds up nothing: a batch that the database refuses is tried again in halves until it is alone
(libs/messaging, batching.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from knarr.pipeline.decision import CommandHandled, DeadLetter, RolloutDecided
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.pipeline.revision import CommitRendered, RenderedApp, RenderFailed, RevisionRendered
from knarr.pipeline.snapshot import CommitObserved, SnapshotStored, SourceReported
from knarr.status.core import intent, projection
from knarr.status.core.events import event, notice_events, refused_event, stranger_of
from knarr.status.core.freshness import Patience
from knarr.status.core.position import newest_per_key
from knarr.status.core.rows import ClusterRow, PlacementRow, TransitionRow
from knarr.status.core.text import clean
from knarr.status.ports import (
    CommandStore,
    Decided,
    IntentStore,
    LetterStore,
    Message,
    Rendered,
    ReportRows,
    ReportStore,
    SourceState,
    SourceStore,
)

Clock = Callable[[], int]


def now_ms() -> int:
    """The hub's clock."""
    return time.time_ns() // 1_000_000


class RecordReports:
    """Reports in batches. `recorded` is called after each: there may be something to tell."""

    def __init__(
        self, store: ReportStore, patience: Patience, recorded: Callable[[], None], clock: Clock = now_ms
    ) -> None:
        self._store = store
        self._patience = patience
        self._recorded = recorded
        self._clock = clock

    async def __call__(self, messages: Sequence[Message]) -> None:
        """All of them in one transaction, or none."""
        if not messages:
            return
        now = self._clock()
        await self._store.record_reports(report_rows(messages, self._patience.silent_before_ms(now), now))
        self._recorded()


def report_rows(messages: Sequence[Message], silent_before_ms: int, now: int) -> ReportRows:
    """The rows of a batch: the newest per key, and every cluster's newest sign of life."""
    clusters: list[ClusterRow] = []
    placements: list[PlacementRow] = []
    transitions: list[TransitionRow] = []
    heard: dict[str, int] = {}
    for message in messages:
        value, at = message.value, message.stored_at_ms
        if isinstance(value, ClusterReport):
            clusters.append(projection.cluster_row(value, message.subject, message.position, at))
        elif isinstance(value, AppReport):
            placements.append(projection.placement_row(value, message.subject, message.position, at))
            transitions.extend(projection.transition_rows(value))
        cluster = message.subject.split(".")[1]
        heard[cluster] = max(at, heard.get(cluster, 0))
    return ReportRows(
        clusters=newest_per_key(clusters, lambda r: (r.name,)),
        placements=newest_per_key(placements, lambda r: (r.cluster, r.app)),
        transitions=transitions,
        heard=heard,
        silent_before_ms=silent_before_ms,
        now_ms=now,
    )


class RecordIntent:
    """Everything that is not a report, message by message."""

    def __init__(
        self, intents: IntentStore, sources: SourceStore, commands: CommandStore, recorded: Callable[[], None]
    ) -> None:
        self._recorded = recorded
        self._intents = intents
        self._sources = sources
        self._commands = commands

    async def __call__(self, messages: Sequence[Message]) -> None:
        """Each in a transaction of its own, in their order; the first that fails ends it."""
        try:
            for message in messages:
                await self._record(message)
        finally:
            self._recorded()

    async def _record(self, message: Message) -> None:
        match message.value:
            case SnapshotStored() | CommitObserved():
                await self._snapshot(message, message.value)
            case RevisionRendered():
                await self._revision(message, message.value)
            case RenderFailed():
                await self._failed(message, message.value)
            case CommitRendered():
                await self._rendered(message, message.value)
            case RolloutDecided():
                await self._intents.record_decision(_decided(message, message.value))
            case CommandHandled():
                await self._handled(message.value)
            case SourceReported():
                await self._source(message, message.value)

    async def _revision(self, message: Message, value: RevisionRendered) -> None:
        bundles = [intent.bundle_row(i) for i in value.indexes]
        row, variants = intent.revision_row(value), intent.variant_rows(value)
        await self._intents.record_revision(message.position, row, variants, bundles)

    async def _handled(self, value: CommandHandled) -> None:
        failure = projection.failure_json(value.failure) if value.failure else None
        await self._commands.record_handled(value.command_id, value.accepted, failure, value.handled_at_ms)

    async def _snapshot(self, message: Message, value: SnapshotStored | CommitObserved) -> None:
        commit = intent.commit_row(value.commit)
        if commit is None:
            return
        if isinstance(value, SnapshotStored):
            sizes = (value.file_count, value.published_bytes, value.published_files)
            await self._intents.record_snapshot(commit, message.stored_at_ms, sizes, message.trace_id)
        else:
            await self._intents.record_snapshot(commit, None, (0, 0, 0), message.trace_id)

    async def _failed(self, message: Message, value: RenderFailed) -> None:
        commit = intent.commit_row(value.commit)
        first = value.failures[0] if value.failures else Failure(message="it did not render")
        told = event(
            "render-failed", at_ms=message.stored_at_ms, app=value.app, code=first.code,
            message=f"{value.app}: {first.message}"[:500], unique=f"{commit.source}/{commit.number}" if commit else "",
        )  # fmt: skip
        failures = projection.failures_json(value.failures)
        await self._intents.record_failure(message.position, value.app, commit, failures, told)

    async def _rendered(self, message: Message, value: CommitRendered) -> None:
        commit = intent.commit_row(value.commit)
        if commit is None:
            return
        await self._intents.record_rendered(
            Rendered(
                position=message.position,
                commit=commit,
                started_at_ms=value.started_at_ms,
                ended_at_ms=value.ended_at_ms,
                renders=value.renders,
                cache_hits=value.cache_hits,
                blobs_published=value.blobs_published,
                outcomes_json=intent.outcomes_json(value),
                failures_json=projection.failures_json(value.failures),
                apps=[
                    (a.app, a.outcome.value, a.revision, a.failure_code, a.source) for a in intent.sorted_apps(value)
                ],
                members=intent.members(value),
                trace_id=message.trace_id,
            )
        )

    async def _source(self, message: Message, value: SourceReported) -> None:
        failure = projection.failure_json(value.failure) if value.failure and not value.reachable else None
        await self._sources.record_source(
            SourceState(
                position=message.position,
                source=value.source,
                reachable=value.reachable,
                failure_json=failure,
                since_ms=value.since_ms,
                checked_at_ms=message.stored_at_ms,
            )
        )


def _app(a: RenderedApp) -> tuple[str, str, str, str, str]:
    return (a.app, a.outcome.value, a.revision, a.failure_code, a.source)


def _decided(message: Message, value: RolloutDecided) -> Decided:
    return Decided(
        position=message.position,
        epoch=value.epoch,
        number=value.number,
        commit=intent.commit_row(value.commit),
        fleet_commit=intent.commit_row(value.fleet_commit),
        decided_at_ms=value.decided_at_ms,
        command_id=value.command_id,
        failures_json=projection.failures_json(value.failures),
        detached=tuple(sorted(value.detached_clusters)),
        unenrolled=tuple(sorted(value.unenrolled_clusters)),
        verdicts=intent.verdict_rows(value, message.position),
        assigned=intent.assigned_rows(value, message.position),
        assigned_clusters=len(value.assignments),
        trace_id=message.trace_id,
        notices=notice_events(value),
        actor=clean(value.actor, 100),
        reason=clean(value.reason, 500),
    )


class RecordLetters:
    """Dead letters: what was refused is that cluster's event, and the subject that it came on may be a stranger's."""

    def __init__(self, letters: LetterStore, recorded: Callable[[], None], clock: Clock = now_ms) -> None:
        self._letters = letters
        self._recorded = recorded
        self._clock = clock

    async def __call__(self, messages: Sequence[Message]) -> None:
        """All of them in one transaction."""
        letters: list[DeadLetter] = [m.value for m in messages]
        strangers = [row for row in map(stranger_of, letters) if row is not None]
        events = {e.event_id: e for e in map(refused_event, letters)}
        await self._letters.record_letters(list(events.values()), strangers, self._clock())
        self._recorded()
