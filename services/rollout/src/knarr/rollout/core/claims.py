"""Two apps, one object, one cluster: the first claimant keeps it (design section 4).

A move in one commit is a transfer: the holder gives the object up in the same decision. Clusters that run the same set
of bundles are looked at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from knarr.rollout.core.moves import Move
from knarr.rollout.core.state import FleetState, IndexView


@dataclass(frozen=True, slots=True, kw_only=True)
class Clash:
    """`app` claims an object that `holder` has."""

    app: str
    holder: str
    object_id: str
    clusters: tuple[str, ...]


def clashes(state: FleetState, moves: Iterable[Move], indexes: Mapping[bytes, IndexView]) -> tuple[Clash, ...]:
    """Claims of moving apps on objects that another app keeps, or that an earlier-named mover claims too."""
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    by_cluster: dict[str, list[Move]] = defaultdict(list)
    for move in moves:
        by_cluster[move.cluster].append(move)
    situations: dict[tuple[tuple[str, bytes], ...], list[str]] = defaultdict(list)
    after_moves: dict[str, dict[str, bytes]] = {}
    for cluster, moving in by_cluster.items():
        after = _after(state, cluster, moving)
        after_moves[cluster] = after
        key = tuple(sorted((app, digest) for app, digest in after.items()))
        situations[(*key, ("\0moving", repr(sorted(m.app for m in moving)).encode()))].append(cluster)
    for clusters in situations.values():
        sample = clusters[0]
        for clash in _in_one_cluster(state, sample, by_cluster[sample], after_moves[sample], indexes):
            found[clash].extend(clusters)
    return tuple(
        Clash(app=app, holder=holder, object_id=object_id, clusters=tuple(sorted(clusters)))
        for (app, holder, object_id), clusters in sorted(found.items())
    )


def _after(state: FleetState, cluster: str, moving: list[Move]) -> dict[str, bytes]:
    """App → digest in the cluster once the moves are made."""
    after = {
        app: placed[cluster].ref.digest
        for app, placed in state.placements.items()
        if cluster in placed and cluster not in state.removals.get(app, {})
    }
    for move in moving:
        if move.ref is None:
            after.pop(move.app, None)
        else:
            after[move.app] = move.ref.digest
    return after


def _in_one_cluster(
    state: FleetState,
    cluster: str,
    moving: list[Move],
    after: Mapping[str, bytes],
    indexes: Mapping[bytes, IndexView],
) -> Iterable[tuple[str, str, str]]:
    movers = {m.app for m in moving if m.ref is not None}
    added: dict[str, frozenset[str]] = {}
    for app in movers:
        placed = state.placements.get(app, {}).get(cluster)
        held = indexes[placed.ref.digest].ids if placed else frozenset()
        added[app] = indexes[after[app]].ids - held
    if not any(added.values()):
        return
    holder_of: dict[str, str] = {}
    for app, digest in after.items():
        for object_id in indexes[digest].ids - added.get(app, frozenset()):
            holder_of[object_id] = app
    for app in sorted(movers):
        for object_id in sorted(added[app]):
            holder = holder_of.setdefault(object_id, app)
            if holder != app:
                yield app, holder, object_id


def gained_by_others(
    state: FleetState, moves: Iterable[Move], indexes: Mapping[bytes, IndexView]
) -> dict[str, dict[str, frozenset[str]]]:
    """App → cluster → ids that *other* apps newly hold there after the moves: moved, not lost."""
    gains: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    for move in moves:
        if move.ref is None:
            continue
        placed = state.placements.get(move.app, {}).get(move.cluster)
        held = indexes[placed.ref.digest].ids if placed else frozenset()
        new = indexes[move.ref.digest].ids - held
        if new:
            gains[move.cluster][move.app] = new
    found: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    for move in moves:
        others = [ids for app, ids in gains.get(move.cluster, {}).items() if app != move.app]
        if others:
            found[move.app][move.cluster] = frozenset().union(*others)
    return found
