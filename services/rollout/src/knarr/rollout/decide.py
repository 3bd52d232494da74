"""The flow of rollout: something happened → `transition` → store → publish.

One lock: events are taken one after the other. The state in memory is the store's: after any exception it is read again
before anything else is decided. Publishing follows from the store's outbox, so that neither a crash nor a broker that
does not answer loses or doubles anything: what was stored goes out, then or later, and is answered for as it was
stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

import structlog

from knarr.pipeline.decision import Command, CommandHandled, CommandVerb, RolloutDecided
from knarr.pipeline.errors import Retryable
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.pipeline.revision import AppOutcome, CommitRendered, RevisionRendered
from knarr.rollout import metrics
from knarr.rollout.core.changes import Changes, OutgoingAssignment
from knarr.rollout.core.events import AppsReported, ClustersReported, Commanded, Event, Rendered, TimePassed
from knarr.rollout.core.state import FleetState
from knarr.rollout.core.transition import transition
from knarr.rollout.dispatch import Authority, Dispatcher
from knarr.rollout.ports import Outbox, Revisions, Store

LOG = structlog.get_logger("knarr.rollout")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the flow needs beside its state: `now_ms` Unix milliseconds, `traceparent` of the current span."""

    store: Store
    outbox: Outbox
    revisions: Revisions
    authority: Authority
    now_ms: Callable[[], int]
    traceparent: Callable[[], str]


class Rollout:
    """The single writer of intent. `state` is only read outside; `unpublished` is set while something has to go out."""

    def __init__(self, state: FleetState, world: World) -> None:
        self.world = world
        self.state = replace(state, epoch=world.authority.epoch)
        self._dispatcher = Dispatcher(world.store, world.outbox, world.authority)
        self._lock = asyncio.Lock()
        self._stale = False
        self.unpublished = asyncio.Event()

    # --- what happens ---------------------------------------------------------

    async def on_rendered(self, rendered: CommitRendered) -> RolloutDecided | None:
        """A commit is rendered: decide once, send each cluster at most one assignment. None when it came twice."""
        async with self._deciding():
            with metrics.SECONDS.time():
                named = await self._revisions_named(rendered)
                trace = self.world.traceparent()
                changes = await self._happened(Rendered(rendered=rendered, revisions=named, traceparent=trace))
        return changes.decisions[-1] if changes.decisions else None

    async def on_cluster_reports(self, reports: Iterable[ClusterReport]) -> None:
        """Clusters say who they are."""
        async with self._deciding():
            trace = self.world.traceparent()
            await self._happened(ClustersReported(reports=tuple(reports), traceparent=trace))

    async def on_app_reports(self, reports: Iterable[AppReport]) -> None:
        """Clusters say how apps are."""
        async with self._deciding():
            await self._happened(AppsReported(reports=tuple(reports)))

    async def on_command(self, command: Command) -> CommandHandled:
        """An operator asks; asked again, the answer is the same."""
        async with self._deciding():
            answer = await self.world.store.answer(command.command_id)
            if answer is not None:
                await self.world.outbox.handled(answer)
                return answer
            revision = None
            if command.verb is CommandVerb.PLAN and command.revision:
                revision = await self.world.store.revision(command.revision)
            trace = self.world.traceparent()
            changes = await self._happened(Commanded(command=command, revision=revision, traceparent=trace))
            return changes.answers[-1]

    async def on_time(self) -> None:
        """It got later."""
        async with self._deciding():
            await self._happened(TimePassed())

    async def publish_what_is_missing(self) -> int:
        """Publishes again what the store holds as unpublished or the stream has lost; how many assignments."""
        async with self._deciding():
            waiting = await self.world.store.unpublished()
            lost = await self.world.outbox.missing_assignments(sorted(self._clusters_with_content()))
            known = {o.cluster for o in waiting.outgoing}
            again = tuple(OutgoingAssignment(cluster=c) for c in lost if c not in known)
            found = replace(waiting, outgoing=(*waiting.outgoing, *again))
            await self._dispatcher.publish(self.state, found)
            self.unpublished.clear()
            return len(found.outgoing)

    # --- deciding ---------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _deciding(self) -> AsyncIterator[None]:
        async with self._lock:
            try:
                if self._stale:
                    self.state = replace(await self.world.store.load(), epoch=self.world.authority.epoch)
                    self._stale = False
                yield
            except BaseException:
                self._stale = True
                raise

    async def _happened(self, event: Event) -> Changes:
        outcome = transition(self.state, event, self.world.now_ms())
        if outcome.changes.nothing:
            return outcome.changes
        await self.world.store.commit(outcome.changes)
        self.state = outcome.state
        if outcome.changes.outgoing or outcome.changes.decisions or outcome.changes.answers:
            await self._publish()
        for decision in outcome.changes.decisions:
            metrics.note_decision(decision, held=sum(t.held for t in self.state.targets.values()))
        return outcome.changes

    async def _publish(self) -> None:
        """What was stored is decided, whatever the broker says now; what does not go out is published again soon."""
        try:
            if await self._dispatcher.publish(self.state, await self.world.store.unpublished()):
                self.unpublished.set()
        except Retryable as error:
            if error.code in _NOT_OURS:
                raise
            self.unpublished.set()
            LOG.warning("decided and stored; will be published again", code=error.code, error=error.message)

    async def _revisions_named(self, rendered: CommitRendered) -> dict[str, RevisionRendered]:
        found: dict[str, RevisionRendered] = {}
        for app in rendered.apps:
            if app.outcome not in (AppOutcome.REVISION, AppOutcome.UNCHANGED) or not app.revision:
                continue
            now = self.state.targets.get(app.app)
            if now is not None and now.revision.revision == app.revision and not now.gone:
                continue
            newest = await self.world.revisions.newest(app.app)
            if newest is None or newest.revision != app.revision:
                # Overwritten by a newer commit, whose CommitRendered follows; or an older one that the store knows.
                newest = await self.world.store.revision(app.revision)
            if newest is not None:
                found[app.app] = newest
        return found

    def _clusters_with_content(self) -> set[str]:
        found = {*self.state.assigned, *self.state.leaving}
        return {c for c in found if (m := self.state.members.get(c)) is not None and m.enrolled}


_NOT_OURS = frozenset({"KNR3041", "KNR3042"})  # the store, or the lead: this process decides nothing more
