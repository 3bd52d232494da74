"""Clusters in which the same happens, looked at once (I11), and what happens there: what each app loses, who claims
what.

Two clusters are in one situation when they run the same, make the same moves, and have lost the same in the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from immutables import Map

from knarr.bundle.budget import Budget, lost, within
from knarr.pipeline.digest import sha256
from knarr.rollout.core.guard import Step
from knarr.rollout.core.moves import Move
from knarr.rollout.core.state import EMPTY_INDEX, FleetState, IndexView, Left, Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """`moves`: app → digest that it moves to; None: it leaves."""

    clusters: tuple[str, ...]
    moves: Mapping[str, bytes | None]

    @property
    def sample(self) -> str:
        """One of the clusters, for all."""
        return self.clusters[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """`app` claims an object that `holder` has."""

    app: str
    holder: str
    object_id: str
    clusters: tuple[str, ...]


def situations(state: FleetState, going: Iterable[tuple[Move, ...]]) -> tuple[Situation, ...]:
    """The clusters of the moves, by what happens there."""
    by_cluster: dict[str, dict[str, bytes | None]] = {}
    for moves in going:
        for move in moves:
            by_cluster.setdefault(move.cluster, {})[move.app] = move.ref.digest if move.ref else None
    groups: dict[object, list[str]] = {}
    grants = {app: grant.clusters for app, grant in state.grants.items()}
    for cluster, moving in by_cluster.items():
        granted = tuple(grants[a].get(cluster) for a in sorted(moving) if a in grants) if grants else ()
        same = (state.signatures.get(cluster, 0), frozenset(moving.items()), granted, _token(state.left.get(cluster)))
        groups.setdefault(same, []).append(cluster)
    return tuple(Situation(clusters=tuple(sorted(cs)), moves=by_cluster[cs[0]]) for cs in groups.values())


def steps_in(state: FleetState, situation: Situation, budget: Budget, now_ms: Callable[[str], int]) -> tuple[Step, ...]:
    """What apps lose there: those that move, and those from which something came that another deletes now.

    `now_ms`: app → the time at which it is judged.
    """
    placed = state.assigned.get(situation.sample, Map())
    before, after = _before(state, situation), _after(state, situation)
    away = {app: lost(before[app].ids, after[app].ids) for app in situation.moves}
    leaving = frozenset(app for app, digest in situation.moves.items() if digest is None and app in placed)
    if not leaving and not any(away.values()):
        return ()
    earliest = min(now_ms(app) for app in situation.moves)  # of what is held already, when that was first judged
    left = {
        app: ids if _is_deferred(placed.get(app)) else within(ids, min(earliest, now_ms(app)), budget)
        for app, ids in state.left.get(situation.sample, Map()).items()
    }
    held = _held(state, situation, after, {i for ids in (*away.values(), *left.values()) for i in ids})
    going = {app: ids - held for app, ids in away.items()}
    covered = frozenset(
        a for a, ids in going.items() if is_covered(state, situation.sample, a, ids, removed=a in leaving)
    )
    found = _Losing(going=going, left=left, held=held, covered=covered)
    steps = []
    for app in sorted({*situation.moves, *found.owners()}):
        has = before[app] if app in situation.moves else state.index_of(placed.get(app))
        remains = after[app] if app in situation.moves else has
        steps.append(found.step(app, situation.clusters, has, remains, removed=app in leaving))
    return tuple(steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Losing:
    """`going`: moving app → what it deletes; `left`: app → what left it in the window; `held`: of all these, what some
    app of the cluster has after the moves; `covered`: apps whose deletions are approved."""

    going: Mapping[str, frozenset[str]]
    left: Mapping[str, Left]
    held: frozenset[str]
    covered: frozenset[str]

    def owners(self) -> Iterator[str]:
        """Apps from which something came that others delete now."""
        return (app for app in self.left if self._causes(app))

    def step(self, app: str, clusters: tuple[str, ...], before: IndexView, after: IndexView, *, removed: bool) -> Step:
        left, causes, own = self.left.get(app, {}), self._causes(app), self.going.get(app, frozenset())
        now = frozenset[str]().union(*self.going.values())
        return Step(
            app=app,
            clusters=clusters,
            before=len(before.ids),
            after=len(after.ids),
            had=len(before.ids | left.keys()),
            going=own,
            gone=frozenset(i for i in left if i not in self.held and i not in now),
            protected=own & before.protected,
            removed=removed,
            covered=app in self.covered,
            came=frozenset(i for cause in causes for i in self.going[cause] if i in left),
            causes=causes,
        )

    def _causes(self, app: str) -> tuple[str, ...]:
        left = self.left.get(app, {})
        return tuple(
            b for b, ids in sorted(self.going.items()) if b != app and b not in self.covered and ids & left.keys()
        )


def _is_deferred(placement: Placement | None) -> bool:
    """Whether what left is there still: it counts until it is gone."""
    return placement is not None and placement.defer_prune


def is_covered(state: FleetState, cluster: str, app: str, going: frozenset[str], *, removed: bool) -> bool:
    """Whether an operator's approval, shown exactly this, is there and not used yet."""
    grant, target = state.grants.get(app), state.targets.get(app)
    if grant is None or target is None or grant.target != target.id:
        return False
    return grant.clusters.get(cluster) == loss_key(going, removed=removed)


def loss_key(going: Iterable[str], *, removed: bool) -> bytes:
    """A digest of what goes in one cluster."""
    return sha256("\n".join((str(removed), *sorted(going))).encode())


def clashes_in(state: FleetState, situation: Situation) -> Iterator[Clash]:
    """Claims of moving apps on objects that another app keeps, or that an earlier-named mover claims too.

    A move in one commit is a transfer: the holder gives the object up in the same decision.
    """
    before, after = _before(state, situation), _after(state, situation)
    added = {app: after[app].claims - before[app].claims for app in sorted(situation.moves)}
    if not any(added.values()):
        return
    keeping = {app: after[app].claims - added[app] for app in situation.moves}
    for app, placement in state.assigned.get(situation.sample, Map()).items():
        if app not in situation.moves:
            keeping[app] = state.index_of(placement).claims
    claimed: dict[str, str] = {}
    for app, ids in added.items():
        for identity in sorted(ids):
            holder = next((h for h, held in keeping.items() if h != app and identity in held), None)
            holder = holder or claimed.setdefault(identity, app)
            if holder != app:
                yield Clash(app=app, holder=holder, object_id=identity, clusters=situation.clusters)


def _before(state: FleetState, situation: Situation) -> dict[str, IndexView]:
    placed = state.assigned.get(situation.sample, Map())
    return {app: state.index_of(placed.get(app)) for app in situation.moves}


def _after(state: FleetState, situation: Situation) -> dict[str, IndexView]:
    return {a: state.indexes[digest] if digest is not None else EMPTY_INDEX for a, digest in situation.moves.items()}


def _held(state: FleetState, situation: Situation, after: Mapping[str, IndexView], asked: set[str]) -> frozenset[str]:
    """Of the asked ids, those that some app of the cluster has after the moves."""
    sets = [view.ids for view in after.values()]
    placed = state.assigned.get(situation.sample, Map())
    sets += [state.index_of(p).ids for app, p in placed.items() if app not in situation.moves]
    return frozenset().union(*(ids & asked for ids in sets)) if asked else frozenset()


def _token(left: Map[str, Left] | None) -> object:
    return frozenset((app, frozenset(ids.items())) for app, ids in left.items()) if left else None
