"""The flow of rollout: something was rendered, reported or commanded → decide → store → publish.

The state in memory is the store's: when a transaction fails, it is read again before anything else is decided.
Publishing follows from the store's outbox, so that a crash between the two is mended by the next start. One lock:
decisions are made one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

import structlog

from knarr.bundle.sealing import content_key
from knarr.pipeline.assignment import DryRun
from knarr.pipeline.decision import AppDecision, AppVerdict, Command, CommandHandled, CommandVerb, RolloutDecided
from knarr.pipeline.errors import KnarrError, failure_of, rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.pipeline.revision import AppOutcome, CommitRendered, RevisionRendered
from knarr.pipeline.snapshot import Commit
from knarr.rollout import metrics
from knarr.rollout.core.assignment import assigned_app, fetch_spread_seconds
from knarr.rollout.core.decision import Decision, decide, target_id
from knarr.rollout.core.enrolment import Standing, hear
from knarr.rollout.core.guard import GuardSettings
from knarr.rollout.core.intake import fails, take_in
from knarr.rollout.core.moves import wanted_refs
from knarr.rollout.core.state import FleetState
from knarr.rollout.dispatch import Authority, Dispatcher
from knarr.rollout.ledger import Ledger, new_bytes
from knarr.rollout.ports import Approved, Changes, Outbox, OutgoingAssignment, Revisions, Store

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
    """The single writer of intent."""

    def __init__(self, state: FleetState, world: World) -> None:
        self._state = state
        self._world = world
        self._dispatcher = Dispatcher(world.store, world.outbox, world.authority)
        self._guards = GuardSettings()
        self._lock = asyncio.Lock()
        self._stale = False

    # --- what happens ---------------------------------------------------------

    async def on_rendered(self, rendered: CommitRendered) -> RolloutDecided:
        """A commit is rendered: decide once, send each cluster at most one assignment."""
        async with self._deciding():
            with metrics.SECONDS.time():
                return await self._decide_rendered(rendered)

    async def on_cluster_reports(self, reports: Iterable[ClusterReport]) -> None:
        """Clusters say who they are. First reports bring them everything that the fleet wants there."""
        async with self._deciding():
            ledger = Ledger(self._state)
            for report in reports:
                heard = hear(self._state.members.get(report.cluster), report, epoch=self._world.authority.epoch)
                match heard.standing:
                    case Standing.STRANGER | Standing.OTHER_EPOCH:
                        metrics.REFUSED.labels(standing=heard.standing.value).inc()
                        LOG.warning("cluster refused", cluster=report.cluster, standing=heard.standing.value)
                    case Standing.ENROLLED | Standing.AHEAD:
                        ledger.note_member(heard.member)
                    case Standing.KNOWN:
                        pass
            if ledger.changes.members:
                await self._welcome(ledger)

    async def on_app_reports(self, reports: Iterable[AppReport]) -> None:
        """Forgets baselines and tombstones that the clusters have confirmed."""
        async with self._deciding():
            ledger = Ledger(self._state)
            for report in reports:
                ledger.confirm(report)
            if not ledger.changes.empty():
                await self._commit(ledger.changes)

    async def on_command(self, command: Command) -> CommandHandled:
        """An operator asks. Refusals are answers, with a number."""
        outcome = CommandHandled(command_id=command.command_id, accepted=True, handled_at_ms=self._world.now_ms())
        async with self._deciding():
            try:
                await self._obey(command)
            except KnarrError as error:
                outcome = replace(outcome, accepted=False, failure=failure_of(error))
        await self._world.outbox.handled(outcome)
        return outcome

    async def publish_what_is_missing(self) -> int:
        """Publishes again what the store holds as unpublished or the stream has lost; how many assignments."""
        async with self._deciding():
            outgoing, decisions = await self._world.store.unpublished()
            lost = await self._world.outbox.missing_assignments(sorted(self._clusters_with_content()))
            known = {o.cluster for o in outgoing}
            outgoing += [OutgoingAssignment(cluster=c) for c in lost if c not in known]
            await self._dispatcher.publish(self._state, outgoing, decisions)
            return len(outgoing)

    # --- deciding ---------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _deciding(self) -> AsyncIterator[None]:
        async with self._lock:
            if self._stale:
                self._state = await self._world.store.load()
                self._stale = False
            yield

    async def _commit(self, changes: Changes) -> None:
        try:
            await self._world.store.commit(changes)
        except BaseException:
            self._stale = True
            raise

    async def _decide_rendered(self, rendered: CommitRendered) -> RolloutDecided:
        found = await self._revisions_named(rendered)
        if rendered.guards_json:
            self._guards = GuardSettings.of(rendered.guards_json)
        intake = take_in(self._state, rendered, found)
        ledger = Ledger(self._state)
        ledger.take_in(intake, found)
        decision = decide(self._state, intake.apps, self._guards)
        return await self._settle(
            ledger,
            decision,
            RolloutDecided(
                commit=rendered.commit,
                fleet_commit=rendered.fleet_commit,
                detached_clusters=intake.detached,
                failures=rendered.failures,
                apps=_failed(rendered),
            ),
        )

    async def _settle(self, ledger: Ledger, decision: Decision, told: RolloutDecided) -> RolloutDecided:
        """Takes a decision into the state, stores it all in one transaction, publishes."""
        ledger.apply(decision)
        trace = self._world.traceparent()
        spread = fetch_spread_seconds(new_bytes(decision.sends))
        members = sorted((m for m in self._state.members.values() if m.in_fleet), key=lambda m: m.name)
        ledger.changes.decision = replace(
            told,
            epoch=self._world.authority.epoch,
            apps=(*told.apps, *decision.apps),
            assignments=ledger.next_generations(traceparent=trace, spread_seconds=spread),
            decided_at_ms=self._world.now_ms(),
            traceparent=trace,
            unenrolled_clusters=tuple(m.name for m in members if not m.enrolled),
            clusters=tuple(m.name for m in members),
        )
        await self._commit(ledger.changes)
        outgoing, decisions = await self._world.store.unpublished()
        await self._dispatcher.publish(self._state, outgoing, decisions)
        metrics.note_decision(ledger.changes.decision, held=sum(t.held for t in self._state.targets.values()))
        return decisions[-1] if decisions else ledger.changes.decision

    async def _revisions_named(self, rendered: CommitRendered) -> dict[str, RevisionRendered]:
        found: dict[str, RevisionRendered] = {}
        for app in rendered.apps:
            if app.outcome not in (AppOutcome.REVISION, AppOutcome.UNCHANGED) or not app.revision:
                continue
            now = self._state.targets.get(app.app)
            if now is not None and now.revision.revision == app.revision and not now.gone:
                continue
            newest = await self._world.revisions.newest(app.app)
            if newest is None or newest.revision != app.revision:
                # Overwritten by a newer commit, whose CommitRendered follows; or an older one that the store knows.
                newest = await self._world.store.revision(app.revision)
            if newest is not None:
                found[app.app] = newest
        return found

    async def _welcome(self, ledger: Ledger) -> None:
        """Clusters can be sealed for now (again): each gets what the fleet wants there, at a fresh generation."""
        only = frozenset(ledger.changes.members)
        already = {c for c in only if any(c in placed for placed in self._state.placements.values())}
        decision = decide(self._state, tuple(self._state.targets), self._guards, only=only)
        ledger.touched |= already
        # A held app stays held as it was told; here only what went out is worth telling.
        told = tuple(a for a in decision.apps if a.verdict is AppVerdict.ASSIGNED)
        commit = newest_commit(self._state, tuple(a.app for a in told))
        if commit is None:
            ledger.apply(replace(decision, apps=()))
            ledger.next_generations()
            await self._commit(ledger.changes)
            await self._dispatcher.publish(self._state, *await self._world.store.unpublished())
            return
        await self._settle(ledger, replace(decision, apps=told), RolloutDecided(commit=commit, fleet_commit=commit))

    # --- commands ---------------------------------------------------------------

    async def _obey(self, command: Command) -> None:
        match command.verb:
            case CommandVerb.APPROVE:
                await self._approve(command)
            case CommandVerb.PLAN:
                await self._ask_for_plan(command)
            case CommandVerb.ADOPT:
                await self._forget_identity(command.cluster)
            case CommandVerb.UNSPECIFIED:
                raise rejected("KNR3031", "the command has no verb that this version knows")

    async def _approve(self, command: Command) -> None:
        app = next((a for a, t in self._state.targets.items() if target_id(t) == command.revision), None)
        if app is None:
            raise rejected("KNR3030", f"no revision {command.revision[:80]!r} is wanted now")
        placed = self._state.placements.get(app, {})
        unapproved = [c for c, p in placed.items() if p.revision == command.revision and not p.approved]
        if not self._state.targets[app].held and not unapproved:
            raise rejected("KNR3030", f"revision {command.revision} of app {app} is not held")
        self._state.approvals.add(command.revision)
        ledger = Ledger(self._state)
        ledger.changes.approvals = [Approved(revision=command.revision, actor=command.actor, reason=command.reason)]
        decision = decide(self._state, (app,), self._guards)
        if not decision.sends:
            # It was sent already, and agents hold it by their own budget: open that.
            for cluster in unapproved:
                ledger.put(app, cluster, replace(placed[cluster], approved=True))
        revision = self._state.targets[app].revision
        told = RolloutDecided(commit=revision.commit, fleet_commit=revision.fleet_commit, command_id=command.command_id)
        await self._settle(ledger, decision, told)

    async def _ask_for_plan(self, command: Command) -> None:
        target = self._state.targets.get(command.app)
        member = self._state.members.get(command.cluster)
        if target is None or member is None or not member.enrolled:
            raise rejected("KNR3031", f"cluster {command.cluster!r} or app {command.app!r} is not known")
        revision = target.revision
        if command.revision:
            revision = await self._world.store.revision(command.revision) or revision
        ref = wanted_refs(revision).get(command.cluster)
        if ref is None or revision.app != command.app:
            raise rejected("KNR3031", f"the revision has no bundle of app {command.app} for {command.cluster}")
        key = content_key(self._world.authority.bundle_master, ref.digest)
        asked = DryRun(
            request_id=command.command_id,
            app=assigned_app(command.app, ref, key),
            asked_at_ms=self._world.now_ms(),
        )
        ledger = Ledger(self._state)
        ledger.touched.add(command.cluster)
        ledger.next_generations()
        outgoing, ledger.changes.outgoing = ledger.changes.outgoing, []
        await self._commit(ledger.changes)
        await self._dispatcher.send(self._state, outgoing, dry_runs=(asked,))

    async def _forget_identity(self, cluster: str) -> None:
        member = self._state.members.get(cluster)
        if member is None:
            raise rejected("KNR3031", f"cluster {cluster!r} is not known")
        ledger = Ledger(self._state)
        ledger.note_member(replace(member, uid="", sealing_key=b""))
        await self._commit(ledger.changes)

    def _clusters_with_content(self) -> set[str]:
        found = {c for placed in self._state.placements.values() for c in placed}
        found |= {c for leaving in self._state.removals.values() for c in leaving}
        return {c for c in found if c in self._state.members and self._state.members[c].enrolled}


def newest_commit(state: FleetState, apps: tuple[str, ...]) -> Commit | None:
    """The newest commit among those that made the apps' revisions; None without an app."""
    commits = [c for a in apps if (c := state.targets[a].revision.commit) is not None]
    return max(commits, key=lambda c: c.number, default=None)


def _failed(rendered: CommitRendered) -> tuple[AppDecision, ...]:
    """An app that fails for some clusters only is told twice: here, and with what becomes of the others."""
    return tuple(
        AppDecision(
            app=app.app,
            verdict=AppVerdict.FAILED,
            clusters=app.clusters,
            failures=(Failure(code=app.failure_code),),
        )
        for app in rendered.apps
        if fails(app)
    )
