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
from knarr.bundle.sealing import MasterKey, content_key
from knarr.bundle.signing import sign_assignment
from knarr.pipeline.assignment import AssignmentHeader, BodyEncoding, DryRun
from knarr.pipeline.decision import (
    AppDecision,
    AppVerdict,
    AssignedGeneration,
    Command,
    CommandHandled,
    CommandVerb,
    RolloutDecided,
)
from knarr.pipeline.errors import KnarrError, failure_of, rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.pipeline.revision import AppOutcome, BundleRef, CommitRendered, RevisionRendered
from knarr.rollout.core.assignment import assigned_app, body_for, fetch_spread_seconds, placements_by_cluster
from knarr.rollout.core.decision import Decision, Send, decide, prunes_to_release, target_id
from knarr.rollout.core.enrolment import Heard, Standing, confirmed, hear, removal_confirmed
from knarr.rollout.core.guard import GuardSettings
from knarr.rollout.core.intake import Intake, take_in
from knarr.rollout.core.moves import wanted_refs
from knarr.rollout.core.state import FleetState, IndexView, Member, Placement, Removal
from knarr.rollout.ports import Approved, Changes, Outbox, OutgoingAssignment, Revisions, Store
from nacl.signing import SigningKey

LOG = structlog.get_logger("knarr.rollout")
_SIGN_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What makes an assignment ours. Kept together; losing it makes a new installation."""

    epoch: str
    signer: SigningKey
    bundle_master: MasterKey


class Rollout:
    """The single writer of intent. Made by `Rollout.resume`."""

    def __init__(self, *, state: FleetState, store: Store, outbox: Outbox, revisions: Revisions, authority: Authority,
                 now_ms: Callable[[], int], traceparent: Callable[[], str]) -> None:  # fmt: skip
        self._state = state
        self._store = store
        self._outbox = outbox
        self._revisions = revisions
        self._authority = authority
        self._now_ms = now_ms
        self._traceparent = traceparent
        self._guards = GuardSettings()
        self._lock = asyncio.Lock()
        self._stale = False
        self._strangers: dict[str, Failure] = {}

    # --- what happens ---------------------------------------------------------

    async def on_rendered(self, rendered: CommitRendered) -> RolloutDecided:
        """A commit is rendered: decide once, send each cluster at most one assignment."""
        async with self._deciding():
            found = await self._revisions_named(rendered)
            if rendered.guards_json:
                self._guards = GuardSettings.of(rendered.guards_json)
            intake = take_in(self._state, rendered, found)
            changes = self._changes_of_intake(intake, found)
            decision = decide(self._state, intake.apps, self._guards)
            failed = tuple(_failed(app.app, app.clusters, app.failure_code) for app in rendered.apps
                           if app.outcome is AppOutcome.FAILED)  # fmt: skip
            return await self._settle(
                changes,
                decision,
                RolloutDecided(
                    commit=rendered.commit,
                    fleet_commit=rendered.fleet_commit,
                    detached_clusters=intake.detached,
                    failures=rendered.failures,
                    apps=failed,
                ),
            )

    async def on_cluster_report(self, report: ClusterReport) -> Heard:
        """A cluster says who it is. A first report brings it everything that the fleet wants there."""
        async with self._deciding():
            heard = hear(self._state.members.get(report.cluster), report, epoch=self._authority.epoch)
            match heard.standing:
                case Standing.STRANGER | Standing.OTHER_EPOCH:
                    self._strangers[report.cluster] = _stranger(report.cluster, heard.standing)
                    LOG.warning("cluster refused", cluster=report.cluster, standing=heard.standing.value)
                case Standing.ENROLLED | Standing.AHEAD:
                    await self._welcome(heard.member)
                case Standing.KNOWN:
                    pass
            return heard

    async def on_app_reports(self, reports: Iterable[AppReport]) -> None:
        """Forgets baselines and tombstones that the clusters have confirmed."""
        async with self._deciding():
            changes = Changes()
            for report in reports:
                self._confirm(report, changes)
            if not changes.empty():
                await self._commit(changes)

    async def on_command(self, command: Command) -> CommandHandled:
        """An operator asks. Refusals are answers, with a number."""
        async with self._deciding():
            outcome = CommandHandled(command_id=command.command_id, accepted=True, handled_at_ms=self._now_ms())
            try:
                await self._obey(command)
            except KnarrError as error:
                outcome = replace(outcome, accepted=False, failure=failure_of(error))
        await self._outbox.handled(outcome)
        return outcome

    async def publish_what_is_missing(self) -> int:
        """Publishes again what the store holds as unpublished or the stream has lost; how many assignments."""
        async with self._deciding():
            outgoing, decisions = await self._store.unpublished()
            placed = self._clusters_with_content()
            lost = await self._outbox.missing_assignments(sorted(placed))
            known = {o.cluster for o in outgoing}
            outgoing += [OutgoingAssignment(cluster=c) for c in lost if c not in known]
            await self._publish(outgoing, decisions)
            return len(outgoing)

    @contextlib.asynccontextmanager
    async def _deciding(self) -> AsyncIterator[None]:
        async with self._lock:
            if self._stale:
                self._state = await self._store.load()
                self._stale = False
            yield

    async def _commit(self, changes: Changes) -> None:
        try:
            await self._store.commit(changes)
        except BaseException:
            self._stale = True
            raise

    # --- commit -----------------------------------------------------------------

    async def _revisions_named(self, rendered: CommitRendered) -> dict[str, RevisionRendered]:
        found: dict[str, RevisionRendered] = {}
        for app in rendered.apps:
            if app.outcome not in (AppOutcome.REVISION, AppOutcome.UNCHANGED) or not app.revision:
                continue
            now = self._state.targets.get(app.app)
            if now is not None and now.revision.revision == app.revision and not now.gone:
                continue
            revision = await self._revision_named(app.app, app.revision)
            if revision is not None:
                found[app.app] = revision
        return found

    async def _revision_named(self, app: str, revision: str) -> RevisionRendered | None:
        newest = await self._revisions.newest(app)
        if newest is not None and newest.revision == revision:
            return newest
        # Overwritten by a newer commit, whose CommitRendered follows; or an older one, which the store may know.
        return await self._store.revision(revision)

    def _changes_of_intake(self, intake: Intake, found: dict[str, RevisionRendered]) -> Changes:
        """Takes the intake into the state and notes what has to be stored of it."""
        changes = Changes(members=list(intake.members.values()), revisions=list(found.values()))
        for revision in found.values():
            for index in revision.indexes:
                if index.digest not in self._state.indexes:
                    self._state.indexes[index.digest] = IndexView.of(index)
                    changes.indexes.append(index)
        self._state.members |= intake.members
        self._state.targets |= intake.targets
        changes.targets |= intake.targets
        if intake.failing != self._state.failing:
            self._state.failing = dict(intake.failing)
            changes.failing = self._state.failing
        return changes

    async def _settle(self, changes: Changes, decision: Decision, told: RolloutDecided) -> RolloutDecided:
        """Applies a decision to the state, stores it all in one transaction, publishes."""
        touched = self._apply_sends(decision.sends, changes)
        touched |= self._release_prunes(changes, touched)
        self._mark_targets(decision, changes)
        assigned = self._next_generations(touched, changes)
        spread = fetch_spread_seconds(_new_bytes(decision.sends))
        trace = self._traceparent()
        changes.outgoing += [
            OutgoingAssignment(cluster=c, traceparent=trace, spread_seconds=spread) for c in sorted(touched)
        ]
        told = replace(
            told,
            epoch=self._authority.epoch,
            apps=(*told.apps, *decision.apps),
            assignments=assigned,
            decided_at_ms=self._now_ms(),
            traceparent=trace,
            unenrolled_clusters=tuple(
                sorted(n for n, m in self._state.members.items() if m.in_fleet and not m.enrolled)
            ),
            clusters=tuple(sorted(n for n, m in self._state.members.items() if m.in_fleet)),
        )
        changes.decision = told
        await self._commit(changes)
        outgoing, decisions = await self._store.unpublished()
        await self._publish(outgoing, decisions)
        return decisions[-1] if decisions else told

    def _apply_sends(self, sends: Iterable[Send], changes: Changes) -> set[str]:
        touched: set[str] = set()
        for send in sends:
            move, key = send.move, (send.move.app, send.move.cluster)
            placed = self._state.placements.setdefault(move.app, {})
            leaving = self._state.removals.setdefault(move.app, {})
            now, was_leaving = placed.get(move.cluster), leaving.get(move.cluster)
            baseline = now.baseline if now else was_leaving.baseline if was_leaving else ()
            touched.add(move.cluster)
            if move.ref is None:
                placed.pop(move.cluster, None)
                generation = self._state.members[move.cluster].generation + 1
                removal = Removal(since_generation=generation, revision=move.revision, baseline=baseline)
                leaving[move.cluster] = changes.removals[key] = removal
                changes.placements[key] = None
                continue
            placement = _placement(move.ref, move.revision, baseline, send)
            placed[move.cluster] = changes.placements[key] = placement
            if leaving.pop(move.cluster, None) is not None:
                changes.removals[key] = None
        return touched

    def _release_prunes(self, changes: Changes, touched: set[str]) -> set[str]:
        """Placements whose deletions waited for a failed app that has rendered since."""
        released = set()
        for app, cluster in prunes_to_release(self._state):
            placement = replace(self._state.placements[app][cluster], defer_prune=False)
            self._state.placements[app][cluster] = placement
            changes.placements[(app, cluster)] = placement
            released.add(cluster)
        return released

    def _mark_targets(self, decision: Decision, changes: Changes) -> None:
        for told in decision.apps:
            target = self._state.targets[told.app]
            held = told.verdict in (AppVerdict.HELD, AppVerdict.REFUSED)
            released = target.released if held or target.gone else target.revision
            after = replace(target, held=held, released=released)
            if after != target or told.app in changes.targets:
                self._state.targets[told.app] = after
                changes.targets[told.app] = after

    def _next_generations(self, touched: set[str], changes: Changes) -> tuple[AssignedGeneration, ...]:
        noted = {m.name: m for m in changes.members}
        for cluster in touched:
            member = self._state.members[cluster]
            noted[cluster] = self._state.members[cluster] = replace(member, generation=member.generation + 1)
        changes.members = list(noted.values())
        return tuple(
            AssignedGeneration(cluster=c, generation=self._state.members[c].generation) for c in sorted(touched)
        )

    # --- reports ----------------------------------------------------------------

    async def _welcome(self, member: Member) -> None:
        """A cluster can be sealed for now (again): it gets what the fleet wants there, at a fresh generation."""
        self._strangers.pop(member.name, None)
        self._state.members[member.name] = member
        only = frozenset({member.name})
        decision = decide(self._state, tuple(self._state.targets), self._guards, only=only)
        changes = Changes(members=[member])
        already = any(member.name in placed for placed in self._state.placements.values())
        if not decision.sends and not already:
            await self._commit(changes)
            return
        touched = self._apply_sends(decision.sends, changes) | only
        self._next_generations(touched, changes)
        changes.outgoing = [OutgoingAssignment(cluster=member.name, traceparent=self._traceparent())]
        await self._commit(changes)
        outgoing, decisions = await self._store.unpublished()
        await self._publish(outgoing, decisions)

    def _confirm(self, report: AppReport, changes: Changes) -> None:
        key = (report.app, report.cluster)
        placement = self._state.placements.get(report.app, {}).get(report.cluster)
        if placement is not None and (after := confirmed(placement, report)) is not None:
            self._state.placements[report.app][report.cluster] = after
            changes.placements[key] = after
        removal = self._state.removals.get(report.app, {}).get(report.cluster)
        if removal is not None and removal_confirmed(removal, report):
            del self._state.removals[report.app][report.cluster]
            changes.removals[key] = None
            self._forget_if_done(report.app, changes)

    def _forget_if_done(self, app: str, changes: Changes) -> None:
        target = self._state.targets.get(app)
        if target and target.gone and not self._state.placements.get(app) and not self._state.removals.get(app):
            del self._state.targets[app]
            changes.targets[app] = None

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
        unapproved = self._unapproved_placements(app, command.revision)
        if not self._state.targets[app].held and not unapproved:
            raise rejected("KNR3030", f"revision {command.revision} of app {app} is not held")
        self._state.approvals.add(command.revision)
        changes = Changes(approvals=[Approved(revision=command.revision, actor=command.actor, reason=command.reason)])
        decision = decide(self._state, (app,), self._guards)
        if not decision.sends:
            self._approve_in_place(app, unapproved, changes)
        revision = self._state.targets[app].revision
        await self._settle(
            changes,
            decision,
            RolloutDecided(commit=revision.commit, fleet_commit=revision.fleet_commit, command_id=command.command_id),
        )

    def _unapproved_placements(self, app: str, revision: str) -> list[str]:
        placed = self._state.placements.get(app, {})
        return [c for c, p in placed.items() if p.revision == revision and not p.approved]

    def _approve_in_place(self, app: str, clusters: list[str], changes: Changes) -> None:
        """The revision was sent already, and agents hold it by their own budget: open that."""
        for cluster in clusters:
            placement = replace(self._state.placements[app][cluster], approved=True)
            self._state.placements[app][cluster] = changes.placements[(app, cluster)] = placement
        self._next_generations(set(clusters), changes)
        changes.outgoing += [OutgoingAssignment(cluster=c) for c in clusters]

    async def _ask_for_plan(self, command: Command) -> None:
        target = self._state.targets.get(command.app)
        member = self._state.members.get(command.cluster)
        if target is None or member is None or not member.enrolled:
            raise rejected("KNR3031", f"cluster {command.cluster!r} or app {command.app!r} is not known")
        revision = await self._store.revision(command.revision) if command.revision else target.revision
        ref = wanted_refs(revision).get(command.cluster) if revision and revision.app == command.app else None
        if ref is None:
            raise rejected("KNR3031", f"the revision has no bundle of app {command.app} for {command.cluster}")
        asked = DryRun(
            request_id=command.command_id,
            app=assigned_app(command.app, ref, content_key(self._authority.bundle_master, ref.digest)),
            asked_at_ms=self._now_ms(),
        )
        changes = Changes()
        self._next_generations({command.cluster}, changes)
        await self._commit(changes)
        await self._send_assignments([OutgoingAssignment(cluster=command.cluster)], dry_runs=(asked,))

    async def _forget_identity(self, cluster: str) -> None:
        member = self._state.members.get(cluster)
        if member is None:
            raise rejected("KNR3031", f"cluster {cluster!r} is not known")
        after = replace(member, uid="", sealing_key=b"")
        self._state.members[cluster] = after
        self._strangers.pop(cluster, None)
        await self._store.commit(Changes(members=[after]))

    # --- publishing -------------------------------------------------------------

    async def _publish(self, outgoing: list[OutgoingAssignment], decisions: list[RolloutDecided]) -> None:
        sent = await self._send_assignments(outgoing)
        for decision in decisions:
            await self._outbox.decided(decision)
        if sent or decisions:
            await self._store.mark_published(sent, [d.number for d in decisions])

    async def _send_assignments(
        self, outgoing: list[OutgoingAssignment], dry_runs: tuple[DryRun, ...] = ()
    ) -> list[str]:
        by_cluster = placements_by_cluster(self._state, [o.cluster for o in outgoing])
        for start in range(0, len(outgoing), _SIGN_AT_ONCE):
            batch = outgoing[start : start + _SIGN_AT_ONCE]
            async with asyncio.TaskGroup() as tasks:
                for out in batch:
                    signed = self._signed(out, by_cluster[out.cluster], dry_runs)
                    if signed is not None:
                        tasks.create_task(self._outbox.assignment(out.cluster, signed))
        return [o.cluster for o in outgoing]

    def _signed(self, out: OutgoingAssignment, apps: list[str], dry_runs: tuple[DryRun, ...]) -> bytes | None:
        member = self._state.members[out.cluster]
        if not member.enrolled:
            return None
        header = AssignmentHeader(
            epoch=self._authority.epoch,
            cluster=out.cluster,
            cluster_uid=member.uid,
            generation=member.generation,
            body_encoding=BodyEncoding.SEALED_BOX,
        )
        body = body_for(
            self._state,
            out.cluster,
            apps,
            key_of=lambda digest: content_key(self._authority.bundle_master, digest),
            spread_seconds=out.spread_seconds,
            traceparent=out.traceparent,
            dry_runs=dry_runs,
        )
        return sign_assignment(header, body, recipient=member.sealing_key, signer=self._authority.signer)

    def _clusters_with_content(self) -> set[str]:
        found = {c for placed in self._state.placements.values() for c in placed}
        found |= {c for leaving in self._state.removals.values() for c in leaving}
        return {c for c in found if c in self._state.members and self._state.members[c].enrolled}


def _placement(ref: BundleRef, revision: str, baseline: tuple[bytes, ...], send: Send) -> Placement:
    kept = () if send.approved else tuple(d for d in baseline if d != ref.digest)
    return Placement(
        ref=ref,
        revision=revision,
        baseline=(*kept, ref.digest),
        approved=send.approved,
        defer_prune=send.defer_prune,
    )


def _new_bytes(sends: Iterable[Send]) -> dict[str, int]:
    found: dict[str, int] = {}
    for send in sends:
        if send.move.ref is not None:
            found[send.move.cluster] = found.get(send.move.cluster, 0) + send.move.ref.sealed_size
    return found


def _failed(app: str, clusters: tuple[str, ...], code: str) -> AppDecision:
    return AppDecision(app=app, verdict=AppVerdict.FAILED, clusters=clusters, failures=(Failure(code=code),))


def _stranger(cluster: str, standing: Standing) -> Failure:
    code = "KNR3020" if standing is Standing.STRANGER else "KNR3021"
    return failure_of(rejected(code, f"cluster {cluster}: {standing.value}"))
