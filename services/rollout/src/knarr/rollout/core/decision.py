"""The decision: from what is wanted and what is assigned to what is sent, held or refused.

Level-triggered: it looks at the state, not at the event that made somebody look. Holding one app may take away what
another counted on (an object that moves between them), so holds are found to a fixed point; they only ever grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from immutables import Map

from knarr.bundle.budget import within
from knarr.pipeline.decision import HeldReason, Loss
from knarr.pipeline.digest import sha256
from knarr.rollout.core.guard import GuardSettings, Step, leaves_too_many, losses, merged, reasons_to_hold, stricter
from knarr.rollout.core.moves import Move, moves_to, moves_to_target, wanted_refs
from knarr.rollout.core.situations import Clash, Situation, clashes_in, is_covered, loss_key, situations, steps_in
from knarr.rollout.core.state import FleetState

StepsThere = tuple[tuple[Situation, tuple[Step, ...]], ...]  # what apps lose in each situation
Looks = Mapping[str, frozenset[str] | None]  # app → the clusters to look at; None: all


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One move that goes out. `approved`: an operator approved what it deletes; `defer_prune` closes it for now.

    `going`: what it deletes there; `protected`: some of it of protected kinds.
    """

    move: Move
    approved: bool = False
    defer_prune: bool = False
    going: frozenset[str] = frozenset()
    protected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why an app's target is not sent. `evidence` is what an approval has to name."""

    reasons: tuple[HeldReason, ...]
    losses: tuple[Loss, ...]
    clusters: tuple[str, ...]
    evidence: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What of the apps looked at goes out, is held, refused, or waits until another app renders (app → clusters).

    `moves`: app → all that its target asks for; `limited`: apps looked at in some of their clusters only.
    """

    moves: Mapping[str, tuple[Move, ...]]
    sends: tuple[Send, ...] = ()
    held: Mapping[str, Held] = field(default_factory=dict)
    refused: Mapping[str, tuple[Clash, ...]] = field(default_factory=dict)
    waiting: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    judged_by: Mapping[str, GuardSettings] = field(default_factory=dict)
    limited: frozenset[str] = frozenset()


def decide(state: FleetState, looks: Looks, settings: GuardSettings, now_ms: int) -> Decision:
    """Decides the named apps. One that is stuck in the clusters looked at is looked at, and told, whole."""
    decision = _decided(state, looks, settings, now_ms)
    stuck = {*decision.held, *decision.refused, *decision.waiting} & decision.limited
    unknown = frozenset(app for app in stuck if not state.targets[app].held)
    if not unknown:
        return decision
    return _decided(state, {app: None if app in unknown else only for app, only in looks.items()}, settings, now_ms)


def _decided(state: FleetState, looks: Looks, settings: GuardSettings, now_ms: int) -> Decision:
    looked_at = sorted(a for a in looks if a in state.targets)
    moves = {app: moves_to_target(state, app, state.targets[app], looks[app]) for app in looked_at}
    judging = _Judging(state=state, settings=settings, now_ms=now_ms)
    limited = frozenset(a for a in looked_at if looks[a] is not None)
    held = {a: _NOT_ASKED for a in limited if state.targets[a].held}
    refused: dict[str, tuple[Clash, ...]] = {}
    while True:
        going = _going(state, moves, held, refused)
        there = situations(state, going.values())
        steps = tuple((situation, judging.steps_in(situation)) for situation in there)
        more_held = {a: h for a, h in judging.held(going, steps).items() if a not in held}
        more_refused = {} if more_held else _refused(state, there)
        if not more_held and not more_refused:
            break
        held |= more_held
        refused |= more_refused
    beside = {**going, **{a: moves[a] for a in refused}}  # what is refused moves once its object is free
    held = {a: h if a in limited else judging.shown(a, moves[a], beside, h) for a, h in held.items()}
    sends, waiting = _sent(state, going, steps, (*held, *refused))
    return Decision(
        moves=moves,
        sends=sends,
        held=held,
        refused=refused,
        waiting=waiting,
        judged_by={a: judging.settings_of(a) for a in held},
        limited=limited,
    )


_NOT_ASKED = Held(reasons=(), losses=(), clusters=())  # it stays held for a newcomer, although it would delete nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judging:
    """The guard over moves that would go out together."""

    state: FleetState
    settings: GuardSettings
    now_ms: int

    def settings_of(self, app: str) -> GuardSettings:
        """What judges the app: never less strict than what has judged its target so far."""
        before = self._judged_before(app)
        return stricter(before, self.settings) if before is not None else self.settings

    def held(self, going: Mapping[str, tuple[Move, ...]], steps: StepsThere) -> dict[str, Held]:
        """The apps that may not go."""
        found: dict[str, list[HeldReason]] = {}
        for step in merged(step for _, there in steps for step in there):
            reasons = self._reasons(step)
            to_hold = [*step.causes] if step.came else []
            if step.app in going and not step.covered and (step.deletes or not step.after):
                to_hold.append(step.app)
            for app in to_hold if reasons else ():
                found.setdefault(app, []).extend(reasons)
        for app, moves in going.items():
            found.setdefault(app, []).extend(self._leaving(app, moves))
        return {
            app: Held(reasons=_distinct(reasons), losses=(), clusters=tuple(sorted(m.cluster for m in going[app])))
            for app, reasons in found.items()
            if reasons
        }

    def shown(self, app: str, moves: tuple[Move, ...], going: Mapping[str, tuple[Move, ...]], held: Held) -> Held:
        """With what it would delete if it were approved now, beside what goes: what an operator is shown."""
        together = {**going, app: moves}
        touched = {m.cluster for m in moves}
        steps = [
            step
            for situation in situations(self.state, together.values())
            if touched.intersection(situation.clusters)
            for step in self.steps_in(situation)
            if step.app == app
        ]
        found = tuple(sorted(losses(merged(steps)), key=lambda loss: loss.clusters))
        target = self.state.targets[app]
        clusters = tuple(sorted(touched))
        return replace(held, losses=found, clusters=clusters, evidence=evidence_of(app, target.id, found))

    def steps_in(self, situation: Situation) -> tuple[Step, ...]:
        """What apps lose there, over the longest window of the guards that judge them."""
        longest = max(self.settings_of(app).window_seconds for app in situation.moves)
        return steps_in(self.state, situation, replace(self.settings.budget, window_seconds=longest), self._time_of)

    def _reasons(self, step: Step) -> tuple[HeldReason, ...]:
        judges = self.settings_of(step.app)
        for cause in step.causes:
            judges = stricter(judges, self.settings_of(cause))
        return reasons_to_hold(step, judges)

    def _leaving(self, app: str, moves: tuple[Move, ...]) -> tuple[HeldReason, ...]:
        leaving = [m.cluster for m in moves if m.ref is None and not self._covered(m)]
        if not leaving:
            return ()
        settings = self.settings_of(app)
        placed = self.state.placements.get(app, Map())
        earlier = within(self.state.departed.get(app, Map()), self._time_of(app), settings.budget)
        before = {c for c in placed if (m := self.state.members.get(c)) is not None and m.in_fleet}
        gone = {c for c in earlier if c not in placed}
        return leaves_too_many(app, len(leaving) + len(gone), len(before) + len(gone), settings)

    def _covered(self, move: Move) -> bool:
        grant = self.state.grants.get(move.app)
        return grant is not None and move.cluster in grant.clusters

    def _judged_before(self, app: str) -> GuardSettings | None:
        target = self.state.targets.get(app)
        return target.judged_by if target is not None and target.held else None

    def _time_of(self, app: str) -> int:
        target = self.state.targets.get(app)
        return target.judged_ms if target is not None and target.held and target.judged_ms else self.now_ms


def evidence_of(app: str, target: str, shown: Iterable[Loss]) -> bytes:
    """The digest of what an operator is shown to approve."""
    lines = [app, target]
    for loss in shown:
        lines += ["in", *loss.clusters, "removed" if loss.app_removed else "loses", *loss.object_ids]
    return sha256("\n".join(lines).encode())


def shown_losses(shown: Iterable[Loss]) -> dict[str, bytes]:
    """Cluster → the digest of what goes there: what a grant covers."""
    return {
        cluster: key
        for loss in shown
        for key in (loss_key(loss.object_ids, removed=loss.app_removed),)
        for cluster in loss.clusters
    }


def _going(
    state: FleetState,
    moves: Mapping[str, tuple[Move, ...]],
    held: Mapping[str, Held],
    refused: Mapping[str, tuple[Clash, ...]],
) -> dict[str, tuple[Move, ...]]:
    """What would go out now: held apps bring a cluster that never had them to the last released revision only."""
    return {
        app: released_for_newcomers(state, app, wanted) if app in held else wanted
        for app, wanted in moves.items()
        if app not in refused
    }


def released_for_newcomers(state: FleetState, app: str, wanted: tuple[Move, ...]) -> tuple[Move, ...]:
    """The moves of clusters that never had the held app, to what was released last."""
    target = state.targets[app]
    if target.released is None:
        return ()
    placed = state.placements.get(app, Map())
    newcomers = frozenset(m.cluster for m in wanted if m.cluster not in placed)
    found = moves_to(state, app, target.released, gone=False, only=newcomers)
    return tuple(m for m in found if m.ref is not None)


def _refused(state: FleetState, there: tuple[Situation, ...]) -> dict[str, tuple[Clash, ...]]:
    found: dict[str, dict[tuple[str, str], list[str]]] = {}
    for situation in there:
        for clash in clashes_in(state, situation):
            found.setdefault(clash.app, {}).setdefault((clash.holder, clash.object_id), []).extend(clash.clusters)
    return {
        app: tuple(
            Clash(app=app, holder=holder, object_id=identity, clusters=tuple(sorted(clusters)))
            for (holder, identity), clusters in sorted(claims.items())
        )
        for app, claims in found.items()
    }


def _sent(
    state: FleetState,
    going: Mapping[str, tuple[Move, ...]],
    steps: StepsThere,
    decided_stuck: Iterable[str],
) -> tuple[tuple[Send, ...], dict[str, tuple[str, ...]]]:
    """What goes out, and which removals wait because another app of the cluster did not render, or is stuck itself."""
    deleting: dict[tuple[str, str], frozenset[str]] = {}
    guarded: set[tuple[str, str]] = set()
    for situation, there in steps:
        for step in there:
            if step.app in situation.moves and step.deletes:
                deleting |= {(step.app, cluster): step.going for cluster in step.clusters}
                guarded |= {(step.app, cluster) for cluster in step.clusters if step.protected}
    # Only a deletion waits for others: without one nothing of this is looked up.
    failing = failing_clusters(state) if deleting else {}
    held_before = (a for a, t in state.targets.items() if t.held and a not in going)
    stuck = stuck_claims(state, {*decided_stuck, *held_before}) if deleting else {}
    sends: list[Send] = []
    waiting: dict[str, list[str]] = {}
    for app, moves in going.items():
        for move in moves:
            going_there = deleting.get((app, move.cluster))
            waits = going_there is not None and (
                bool(failing.get(move.cluster, frozenset()) - {app})
                or is_claimed(state, stuck, app, move.cluster, going_there)
            )
            if waits and move.ref is None:
                waiting.setdefault(app, []).append(move.cluster)
                continue
            lost = going_there or frozenset()
            approved = going_there is not None and is_covered(state, move.cluster, app, lost, removed=move.ref is None)
            protected = (app, move.cluster) in guarded
            sends.append(Send(move=move, approved=approved, defer_prune=waits, going=lost, protected=protected))
    return tuple(sends), {app: tuple(sorted(clusters)) for app, clusters in waiting.items()}


def failing_clusters(state: FleetState) -> dict[str, frozenset[str]]:
    """Cluster → the apps that failed to render for it. A failed app whose targets are unknown fails everywhere."""
    found: dict[str, set[str]] = {}
    for app, failing in state.failing.items():
        for cluster in failing.clusters or state.members:
            found.setdefault(cluster, set()).add(app)
    return {cluster: frozenset(apps) for cluster, apps in found.items()}


def prunes_to_release(state: FleetState) -> tuple[tuple[str, str], ...]:
    """(app, cluster) whose prune was deferred for a failed app that has rendered since."""
    if not state.deferred:
        return ()
    failing = failing_clusters(state)
    stuck = stuck_claims(state, (a for a, t in state.targets.items() if t.held))
    return tuple(
        sorted(
            (app, cluster)
            for app, cluster in state.deferred
            if state.reachable(cluster)
            and not failing.get(cluster, frozenset()) - {app}
            and not is_claimed(state, stuck, app, cluster, state.left.get(cluster, Map()).get(app, {}))
        )
    )


Claims = Mapping[str, Mapping[str, bytes]]  # app that is stuck → cluster → digest of what it wants there


def stuck_claims(state: FleetState, apps: Iterable[str]) -> Claims:
    """What held and refused apps want: an object on its way to one of them is not deleted meanwhile."""
    return {
        app: {cluster: ref.digest for cluster, ref in wanted_refs(state.targets[app].revision).items()}
        for app in apps
        if not state.targets[app].gone
    }


def is_claimed(state: FleetState, stuck: Claims, app: str, cluster: str, going: Iterable[str]) -> bool:
    """Whether another app that is stuck wants one of the objects there."""
    wanted = [state.indexes[refs[cluster]].ids for a, refs in stuck.items() if a != app and cluster in refs]
    return bool(wanted) and any(i in ids for i in going for ids in wanted)


def _distinct(reasons: Iterable[HeldReason]) -> tuple[HeldReason, ...]:
    """The first of each number."""
    found: dict[str, HeldReason] = {}
    for reason in reasons:
        found.setdefault(reason.code, reason)
    return tuple(found.values())
