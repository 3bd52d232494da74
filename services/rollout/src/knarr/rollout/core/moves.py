"""From what is wanted to what has to change: the moves of one app, grouped for the guard.

A move is one cluster's step from its present placement to another bundle, or out of the app. Clusters whose step is the
same are judged once (I11).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from knarr.pipeline.revision import BundleRef, RevisionRendered
from knarr.rollout.core.guard import Change
from knarr.rollout.core.state import FleetState, IndexView


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`ref` None: the app leaves the cluster."""

    app: str
    cluster: str
    ref: BundleRef | None
    revision: str


def wanted_refs(revision: RevisionRendered) -> dict[str, BundleRef]:
    """Cluster → bundle, as the revision names them."""
    return {c: v.bundle for v in revision.variants if v.bundle is not None for c in v.clusters}


def moves_to(state: FleetState, app: str, revision: RevisionRendered, *, gone: bool) -> tuple[Move, ...]:
    """What has to change in reachable clusters for the app to be at `revision` (or gone) everywhere."""
    wanted = {} if gone else wanted_refs(revision)
    placed = state.placements.get(app, {})
    leaving = state.removals.get(app, {})
    failing = frozenset[str]() if gone else state.failing.get(app, frozenset())
    found = []
    for cluster in state.reachable_members():
        ref = wanted.get(cluster)
        present = placed.get(cluster)
        if ref is None and cluster in failing:
            continue  # it did not render for this cluster: that is no word about leaving it (I1)
        if ref is None and present is not None and cluster not in leaving:
            found.append(Move(app=app, cluster=cluster, ref=None, revision=revision.revision))
        elif ref is not None and (cluster in leaving or present is None or present.ref.digest != ref.digest):
            found.append(Move(app=app, cluster=cluster, ref=ref, revision=revision.revision))
    return tuple(found)


def changes_of(
    state: FleetState,
    moves: Iterable[Move],
    indexes: Mapping[bytes, IndexView],
    gained: Mapping[str, frozenset[str]],
) -> tuple[Change, ...]:
    """The moves of one app as changes, clusters with the same step together. `gained`: cluster → ids moved there."""
    groups: dict[tuple[tuple[bytes, ...], bytes | None, frozenset[str]], list[str]] = defaultdict(list)
    for move in moves:
        placed = state.placements.get(move.app, {}).get(move.cluster)
        before = placed.baseline if placed else ()
        after = move.ref.digest if move.ref else None
        groups[(before, after, gained.get(move.cluster, frozenset()))].append(move.cluster)
    return tuple(
        Change(
            clusters=tuple(sorted(clusters)),
            before=tuple(indexes[d] for d in before),
            after=indexes[after] if after is not None else None,
            gained_elsewhere=moved,
        )
        for (before, after, moved), clusters in groups.items()
    )
