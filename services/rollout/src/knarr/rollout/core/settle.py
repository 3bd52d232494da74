"""What a decision changes: placements, tombstones, what left, how each target stands, who is sent an assignment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from immutables import Map

from knarr.bundle.budget import lost
from knarr.pipeline.revision import BundleRef
from knarr.rollout.core.changes import Changes, OutgoingAssignment, Place
from knarr.rollout.core.decision import Decision, Send, prunes_to_release
from knarr.rollout.core.state import FleetState, Grant, Left, Member, Placement, Removal, Target

SPREAD_FROM_BYTES = 50_000_000
SPREAD_BYTES_PER_SECOND = 100_000_000


def sent(state: FleetState, sends: Iterable[Send], now_ms: int) -> Changes:
    """What goes out."""
    placements: dict[Place, Placement | None] = {}
    removals: dict[Place, Removal | None] = {}
    left: dict[Place, Left] = {}
    departed: dict[Place, int | None] = {}
    grants: dict[str, set[str]] = {}
    shared: dict[object, Left] = {}
    steps = _Steps(state)
    for send in sends:
        move = send.move
        place = (move.app, move.cluster)
        before = state.placement(*place)
        if move.ref is not None:
            placements[place] = Placement(
                ref=move.ref,
                revision=move.revision,
                defer_prune=send.defer_prune,
                approved=send.approved,
                protected=send.approved and send.protected,
            )
            if state.removal(*place) is not None:
                removals[place] = None
        else:
            placements[place] = None
            removals[place] = Removal(
                since_generation=state.members[move.cluster].generation + 1,
                revision=move.revision,
                digest=before.ref.digest if before else b"",
                approved=send.approved,
                protected=send.approved and send.protected,
            )
        departed |= _departed(state, send, now_ms)
        for key, after in _left_after(steps, left, send, now_ms):
            left[key] = shared.setdefault(frozenset(after.items()), after)
        if send.approved:
            grants.setdefault(move.app, set()).add(move.cluster)
    used = {app: _used(state.grants[app], clusters) for app, clusters in grants.items() if app in state.grants}
    return Changes(placements=placements, removals=removals, left=left, departed=departed, grants=used)


class _Steps:
    """What leaves an app from one bundle to the next: worked out once for all clusters that take the same step."""

    def __init__(self, state: FleetState) -> None:
        self.state = state
        self._away: dict[tuple[bytes, bytes], frozenset[str]] = {}

    def away(self, before: Placement | None, after: BundleRef | None) -> tuple[frozenset[str], frozenset[str]]:
        """What leaves, and what the app has after."""
        has = self.state.indexes[after.digest].ids if after is not None else frozenset[str]()
        if before is None:
            return frozenset(), has
        step = (before.ref.digest, after.digest if after is not None else b"")
        if step not in self._away:
            self._away[step] = lost(self.state.index_of(before).ids, has)
        return self._away[step], has


def _left_after(steps: _Steps, so_far: Mapping[Place, Left], send: Send, now_ms: int) -> Iterable[tuple[Place, Left]]:
    """What left the app, and came back to it; approved deletions are forgotten, in whichever app they count.

    `so_far`: what the sends before this one changed.
    """
    state, app, cluster = steps.state, send.move.app, send.move.cluster
    rows: Map[str, Left] = state.left.get(cluster, Map())
    known = so_far.get((app, cluster), rows.get(app, {}))
    away, has = steps.away(state.placement(app, cluster), send.move.ref)
    if send.approved:
        kept = {i: at for i, at in known.items() if i not in has and _held_elsewhere(state, app, cluster, i)}
        waits = send.going if send.defer_prune else frozenset[str]()  # it is there still
        yield (app, cluster), kept | dict.fromkeys((away - send.going) | waits, now_ms)
        for other in rows:
            ids = so_far.get((other, cluster), rows[other])
            if other != app and ids.keys() & send.going:
                yield (other, cluster), {i: at for i, at in ids.items() if i not in send.going}
    elif away or known.keys() & has:
        yield (app, cluster), {i: at for i, at in known.items() if i not in has} | dict.fromkeys(away, now_ms)


def _held_elsewhere(state: FleetState, app: str, cluster: str, identity: str) -> bool:
    """Whether another app of the cluster has the object: it keeps its weight, whatever was approved here."""
    placed = state.assigned.get(cluster, Map())
    return any(identity in state.index_of(p).ids for other, p in placed.items() if other != app)


def _departed(state: FleetState, send: Send, now_ms: int) -> dict[Place, int | None]:
    place = (send.move.app, send.move.cluster)
    known = state.departed.get(place[0], Map()).get(place[1])
    if send.move.ref is None and not send.approved:
        return {place: now_ms}
    return {place: None} if known is not None else {}


def _used(grant: Grant, clusters: set[str]) -> Grant | None:
    """What is left of an approval once it was used in these clusters."""
    rest = {c: key for c, key in grant.clusters.items() if c not in clusters}
    return replace(grant, clusters=rest) if rest else None


def released(state: FleetState, now_ms: int) -> Changes:
    """Prunes that need not wait any more. What they delete goes now, and counts from now on."""
    places = prunes_to_release(state)
    return Changes(
        placements={
            place: replace(placement, defer_prune=False)
            for place in places
            if (placement := state.placement(*place)) is not None
        },
        left={
            (app, cluster): dict.fromkeys(ids, now_ms)
            for app, cluster in places
            if (ids := state.left.get(cluster, Map()).get(app))
        },
    )


def targets_after(state: FleetState, decision: Decision, now_ms: int) -> Changes:
    """How each target that was looked at whole stands."""
    found: dict[str, Target | None] = {}
    for app in decision.moves:
        if app in decision.limited:
            continue
        target = state.targets[app]
        stuck = app in decision.held or app in decision.refused
        by = decision.judged_by.get(app)
        after = replace(
            target,
            held=stuck,
            released=target.released if stuck or target.gone else target.revision,
            judged_by=by,
            judged_ms=(target.judged_ms or now_ms) if by is not None else 0,
            waiting=decision.waiting.get(app, ()),
            holds_untold=target.holds_untold or is_held_by_agents(state, app),
        )
        if after != target:
            found[app] = after
    return Changes(targets=found)


def is_held_by_agents(state: FleetState, app: str) -> bool:
    """Whether some agent holds it by its own budget: then that is to be told again, under the target's new name."""
    placed, leaving = state.placements.get(app, Map()), state.removals.get(app, Map())
    return any(p.agent_holds for p in placed.values()) or any(r.agent_holds for r in leaving.values())


def next_generations(
    state: FleetState, changes: Changes, clusters: Iterable[str], *, traceparent: str, spread_seconds: float = 0.0
) -> Changes:
    """Every cluster whose assignment changes, and those named, go one generation up and are sent it."""
    touched = sorted({*clusters, *(c for _, c in changes.placements), *(c for _, c in changes.removals)})
    members: dict[str, Member] = {
        c: replace(m, generation=m.generation + 1) for c in touched for m in (state.members[c],)
    }
    outgoing = {
        c: OutgoingAssignment(cluster=c, traceparent=traceparent, spread_seconds=spread_seconds) for c in touched
    }
    return Changes(members=members, outgoing=outgoing)


def fetch_spread_seconds(sends: Iterable[Send]) -> float:
    """Over how long the clusters should spread their fetches of what they are sent."""
    total = sum(send.move.ref.sealed_size for send in sends if send.move.ref is not None)
    return 0.0 if total < SPREAD_FROM_BYTES else total / SPREAD_BYTES_PER_SECOND


def forgotten(state: FleetState, apps: Iterable[str]) -> Mapping[str, Target | None]:
    """Gone apps that are in no cluster any more."""
    return {
        app: None
        for app in apps
        if (t := state.targets.get(app)) is not None
        and t.gone
        and app not in state.placements
        and app not in state.removals
    }
