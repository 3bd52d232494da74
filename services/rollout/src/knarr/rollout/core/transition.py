"""The machine: `transition(state, event, now)` → the state after it and the changes to store. Everything else is a
hand.

Pure. A decision is told once per event that changed intent; publishing follows from what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

from knarr.bundle.budget import within
from knarr.pipeline.assignment import DryRun
from knarr.pipeline.decision import (
    AppDecision,
    AppVerdict,
    AssignedGeneration,
    Command,
    CommandHandled,
    CommandVerb,
    RolloutDecided,
)
from knarr.pipeline.errors import Rejected, failure_of, rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppReport
from knarr.pipeline.snapshot import Commit
from knarr.rollout.core.approval import approve, expired, held_by_agents, looks_beside, withdrawn
from knarr.rollout.core.assignment import assigned_app
from knarr.rollout.core.changes import NOTHING, Changes, OutgoingAssignment, Place, applied
from knarr.rollout.core.decision import Looks, decide
from knarr.rollout.core.enrolment import hear, placement_after, removal_after
from knarr.rollout.core.events import AppsReported, ClustersReported, Commanded, Event, Rendered, TimePassed
from knarr.rollout.core.guard import GuardSettings
from knarr.rollout.core.intake import identity_of, is_decided, take_in
from knarr.rollout.core.moves import wanted_refs
from knarr.rollout.core.settle import (
    fetch_spread_seconds,
    forgotten,
    next_generations,
    released,
    sent,
    targets_after,
)
from knarr.rollout.core.state import FleetState, Member, Placement, Removal, Target
from knarr.rollout.core.telling import failed, told

_TELL_HOLDS_AGAIN_MS = 60_000
_TELL_TOGETHER_MS = 5_000
_INDEXES_PER_APP = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The state after an event, and what the store has to keep of it."""

    state: FleetState
    changes: Changes


def transition(state: FleetState, event: Event, now_ms: int) -> Outcome:
    """What the event changes. `now_ms`: Unix milliseconds, the hub's clock."""
    work = _Work(state, now_ms)
    match event:
        case Rendered():
            _rendered(work, event)
        case ClustersReported():
            _clusters_reported(work, event)
        case AppsReported():
            _apps_reported(work, event.reports)
        case Commanded():
            _commanded(work, event)
        case TimePassed():
            _time_passed(work)
        case _:
            assert_never(event)
    return Outcome(state=work.state, changes=work.changes)


class _Work:
    """One transition under way: each step sees what the ones before it changed."""

    def __init__(self, state: FleetState, now_ms: int) -> None:
        self.state = state
        self.now_ms = now_ms
        self.changes = NOTHING

    def take(self, changes: Changes) -> None:
        """The changes are made."""
        self.state, self.changes = applied(self.state, changes), self.changes.then(changes)

    def settle(self, looks: Looks, settings: GuardSettings, story: _Story) -> None:
        """Decides the apps, takes the decision in, and tells it."""
        decision = decide(self.state, looks, settings, self.now_ms)
        entries = told(self.state, decision)
        self.take(sent(self.state, decision.sends, self.now_ms))
        self.take(targets_after(self.state, decision, self.now_ms))
        self.take(released(self.state, self.now_ms))
        spread = fetch_spread_seconds(decision.sends)
        self.assign(story.also_send, story.traceparent, spread)
        if entries or story.always:
            self.tell(story, entries)

    def assign(self, clusters: Iterable[str], traceparent: str, spread_seconds: float = 0.0) -> None:
        """Whoever has something new, and the named clusters, gets a new generation."""
        self.take(
            next_generations(self.state, self.changes, clusters, traceparent=traceparent, spread_seconds=spread_seconds)
        )

    def tell(self, story: _Story, entries: tuple[AppDecision, ...]) -> None:
        """One decision, for everybody to read."""
        members = sorted((m for m in self.state.members.values() if m.in_fleet), key=_by_name)
        commit = story.told.commit or newest_commit(self.state, entries)
        generations = tuple((c, self.state.members[c].generation) for c in sorted(self.changes.outgoing))
        decision = replace(
            story.told,
            commit=commit,
            fleet_commit=story.told.fleet_commit or commit,
            epoch=self.state.epoch,
            apps=(*story.told.apps, *entries),
            assignments=_generations(generations),
            decided_at_ms=self.now_ms,
            traceparent=story.traceparent,
            clusters=tuple(m.name for m in members),
            unenrolled_clusters=tuple(m.name for m in members if not m.enrolled),
        )
        self.take(Changes(decisions=(decision,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Story:
    """What is told beside the apps; `always`: also when none was looked at. `also_send`: clusters that get an
    assignment whatever is decided.
    """

    told: RolloutDecided
    traceparent: str = ""
    always: bool = True
    also_send: frozenset[str] = frozenset()


def _rendered(work: _Work, event: Rendered) -> None:
    """A commit: decided once, however often it arrives; each cluster gets at most one assignment of it."""
    rendered = event.rendered
    identity = identity_of(rendered)
    if is_decided(work.state, rendered, identity):
        return
    intake = take_in(work.state, rendered, event.revisions, identity)
    work.take(intake.changes)
    story = RolloutDecided(
        commit=rendered.commit,
        fleet_commit=rendered.fleet_commit,
        detached_clusters=intake.detached,
        failures=rendered.failures,
        notices=intake.notices,
        apps=failed(rendered),
    )
    work.settle(intake.looks, intake.settings, _Story(told=story, traceparent=event.traceparent))


def _clusters_reported(work: _Work, event: ClustersReported) -> None:
    """First reports bring clusters everything that the fleet wants there; refused ones are told."""
    members: dict[str, Member] = {}
    welcome: set[str] = set()
    notices: list[Failure] = []
    for report in event.reports:
        known = members.get(report.cluster) or work.state.members.get(report.cluster)
        heard = hear(known, report, epoch=work.state.epoch, now_ms=work.now_ms)
        if heard.member != known and (known is not None or heard.is_welcome):
            members[report.cluster] = heard.member
        if heard.notice is not None:
            notices.append(heard.notice)
        if heard.is_welcome:
            welcome.add(report.cluster)
    work.take(Changes(members=members))
    if not welcome and not notices:
        return
    only = frozenset(welcome)
    looks = dict.fromkeys(work.state.targets, only) if only else {}
    again = frozenset(c for c in only if c in work.state.assigned or c in work.state.leaving)
    story = RolloutDecided(notices=tuple(notices))
    work.settle(
        looks,
        work.state.guards.settings,
        _Story(told=story, traceparent=event.traceparent, always=bool(notices), also_send=again),
    )


def _apps_reported(work: _Work, reports: Iterable[AppReport]) -> None:
    """Tombstones that are confirmed, approvals that are used up, and what agents hold by their own budget."""
    placements: dict[Place, Placement] = {}
    removals: dict[Place, Removal | None] = {}
    held: set[str] = set()
    for report in reports:
        place = (report.app, report.cluster)
        placement = placements.get(place) or work.state.placement(*place)
        if placement is not None and (after := placement_after(placement, report)) != placement:
            placements[place] = after
            if after.agent_holds != placement.agent_holds:
                held.add(report.app)
        removal = removals[place] if place in removals else work.state.removal(*place)
        if removal is not None and (left := removal_after(removal, report)) != removal:
            removals[place] = left
            if left is not None:
                held.add(report.app)
    work.take(Changes(placements=placements, removals=removals))
    work.take(Changes(targets=forgotten(work.state, {app for app, _ in removals})))
    _tell_agents_holds(work, held)


def _tell_agents_holds(work: _Work, apps: Iterable[str]) -> None:
    """At most once a minute per app, all together: an agent that changes its mind is not everybody's news."""
    latest = max((t.holds_told_ms for t in work.state.targets.values()), default=0)
    is_soon = work.now_ms < latest + _TELL_TOGETHER_MS
    targets: dict[str, Target | None] = {}
    entries = []
    for app in sorted(apps):
        target = work.state.targets.get(app)
        if target is None:
            continue
        if target.held or is_soon or work.now_ms < target.holds_told_ms + _TELL_HOLDS_AGAIN_MS:
            targets[app] = replace(target, holds_untold=True)
            continue
        targets[app] = replace(target, holds_told_ms=work.now_ms, holds_untold=False)
        entry = held_by_agents(work.state, app)
        entries.append(entry or AppDecision(app=app, verdict=AppVerdict.UNCHANGED, revision=target.id))
    work.take(Changes(targets={a: t for a, t in targets.items() if t != work.state.targets[a]}))
    if entries:
        work.tell(_Story(told=RolloutDecided()), tuple(entries))


def _commanded(work: _Work, event: Commanded) -> None:
    """Refusals are answers, with a number. An answer is stored with what it answers for: there is one, the true one."""
    command = event.command
    refusal: Rejected | None = None
    match command.verb:
        case CommandVerb.APPROVE:
            refusal = _approve(work, event)
        case CommandVerb.PLAN:
            refusal = _plan(work, event)
        case CommandVerb.ADOPT:
            refusal = _forget_identity(work, command)
        case CommandVerb.UNSPECIFIED:
            refusal = rejected("KNR3031", "the command has no verb that this version knows")
    answer = CommandHandled(
        command_id=command.command_id,
        accepted=refusal is None,
        failure=failure_of(refusal) if refusal is not None else None,
        handled_at_ms=work.now_ms,
    )
    work.take(Changes(answers=(answer,)))


def _approve(work: _Work, event: Commanded) -> Rejected | None:
    command, settings = event.command, work.state.guards.settings
    ruling = approve(work.state, command, settings, work.now_ms)
    target = work.state.targets.get(ruling.app)
    if target is None:
        return ruling.refusal
    revision = target.revision
    story = _Story(
        told=RolloutDecided(
            commit=revision.commit,
            fleet_commit=revision.fleet_commit,
            command_id=command.command_id,
            actor=command.actor,
            reason=command.reason,
        ),
        traceparent=event.traceparent,
    )
    if ruling.refusal is not None:
        if ruling.telling is not None:
            work.tell(story, told(work.state, ruling.telling))
        return ruling.refusal
    by_agents = not target.held
    work.take(ruling.changes)
    if by_agents:
        work.assign((), event.traceparent)
        work.tell(story, (AppDecision(app=ruling.app, verdict=AppVerdict.UNCHANGED, revision=target.id),))
        return None
    work.settle(looks_beside(work.state, ruling.app), settings, story)
    return None


def _plan(work: _Work, event: Commanded) -> Rejected | None:
    command, state = event.command, work.state
    target, member = state.targets.get(command.app), state.members.get(command.cluster)
    if target is None or member is None or not member.enrolled:
        return rejected("KNR3031", f"cluster {command.cluster!r} or app {command.app!r} is not known")
    revision = event.revision or target.revision
    ref = wanted_refs(revision).get(command.cluster)
    if ref is None or revision.app != command.app:
        return rejected("KNR3031", f"the revision has no bundle of app {command.app} for {command.cluster}")
    work.assign((command.cluster,), event.traceparent)
    asked = DryRun(request_id=command.command_id, app=assigned_app(command.app, ref, b""), asked_at_ms=work.now_ms)
    outgoing = OutgoingAssignment(cluster=command.cluster, traceparent=event.traceparent, dry_runs=(asked,))
    work.take(Changes(outgoing={command.cluster: outgoing}))
    return None


def _forget_identity(work: _Work, command: Command) -> Rejected | None:
    member = work.state.members.get(command.cluster)
    if member is None:
        return rejected("KNR3031", f"cluster {command.cluster!r} is not known")
    forgotten_member = replace(member, uid="", sealing_key=b"", signing_key=b"", told="", told_ms=0)
    work.take(Changes(members={member.name: forgotten_member}))
    return None


def _time_passed(work: _Work) -> None:
    """Approvals that were not used up in time end, and what is left of them is held; old deletions are forgotten."""
    apps = expired(work.state, work.now_ms)
    if apps:
        work.take(withdrawn(apps))
        told_to = RolloutDecided(
            notices=tuple(Failure(code="KNR3033", message=f"the approval of app {a} expired unused") for a in apps),
        )
        work.settle(dict.fromkeys(apps), work.state.guards.settings, _Story(told=told_to))
    _tell_agents_holds(work, [app for app, target in work.state.targets.items() if target.holds_untold])
    work.take(_tidied(work.state, work.now_ms))


def _tidied(state: FleetState, now_ms: int) -> Changes:
    """What left so long ago that no guard counts it any more, not even one that held a target since."""
    oldest = min((t.judged_ms for t in state.targets.values() if t.held and t.judged_ms), default=now_ms)
    budgets = [t.judged_by.budget for t in state.targets.values() if t.judged_by] + [state.guards.settings.budget]
    budget = max(budgets, key=lambda b: b.window_seconds)
    left = {
        (app, cluster): kept
        for cluster, rows in state.left.items()
        for app, ids in rows.items()
        if (app, cluster) not in state.deferred and len(kept := within(ids, min(oldest, now_ms), budget)) < len(ids)
    }
    departed = {
        (app, cluster): None
        for app, rows in state.departed.items()
        for cluster in rows
        if cluster not in within(rows, min(oldest, now_ms), budget)
    }
    return Changes(left=left, departed=departed, unused=_unused_indexes(state))


def _unused_indexes(state: FleetState) -> frozenset[bytes]:
    """Of bundles that nobody is assigned and nothing wants; looked for when there are many more than apps."""
    if len(state.indexes) <= _INDEXES_PER_APP * (len(state.targets) + 1):
        return frozenset()
    used = {p.ref.digest for row in state.placements.values() for p in row.values()}
    for target in state.targets.values():
        for revision in (target.revision, target.released):
            used |= {v.bundle.digest for v in (revision.variants if revision else ()) if v.bundle is not None}
    return frozenset(state.indexes.keys()) - used


def newest_commit(state: FleetState, entries: Iterable[AppDecision]) -> Commit | None:
    """The newest commit among those that made the told revisions; None without one."""
    commits = []
    for entry in entries:
        target = state.targets[entry.app]
        is_released = target.released is not None and entry.revision == target.released.revision
        revision = target.released if is_released and target.released is not None else target.revision
        if revision.commit is not None:
            commits.append(revision.commit)
    return max(commits, key=lambda c: c.number, default=None)


def _generations(pairs: Iterable[tuple[str, int]]) -> tuple[AssignedGeneration, ...]:
    return tuple(AssignedGeneration(cluster=c, generation=g) for c, g in pairs)


def _by_name(member: Member) -> str:
    return member.name
