"""From what is wanted to what has to change: the moves of one app.

A move is one cluster's step from its present placement to another bundle, or out of the app.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from immutables import Map

from knarr.pipeline.revision import BundleRef, RevisionRendered
from knarr.rollout.core.state import FleetState, Target


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


def moves_to_target(
    state: FleetState, app: str, target: Target, only: frozenset[str] | None = None
) -> tuple[Move, ...]:
    """All moves that the target asks for; `only`: in these clusters."""
    return moves_to(state, app, target.revision, gone=target.gone, only=only)


def moves_to(
    state: FleetState, app: str, revision: RevisionRendered, *, gone: bool, only: frozenset[str] | None = None
) -> tuple[Move, ...]:
    """What has to change in reachable clusters for the app to be at `revision` (or gone) everywhere."""
    wanted = {} if gone else wanted_refs(revision)
    placed, leaving = state.placements.get(app, Map()), state.removals.get(app, Map())
    failing = None if gone else state.failing.get(app)
    found = []
    for cluster in _concerned(wanted, placed, only):
        ref, present = wanted.get(cluster), placed.get(cluster)
        fails = failing is not None and (not failing.clusters or cluster in failing.clusters)
        if ref is None and (present is None or fails):
            continue  # it did not render for this cluster: that is no word about leaving it (I1)
        if ref is not None and present is not None and present.ref.digest == ref.digest and cluster not in leaving:
            continue
        if state.reachable(cluster):
            found.append(Move(app=app, cluster=cluster, ref=ref, revision=revision.revision))
    return tuple(found)


def _concerned(wanted: dict[str, BundleRef], placed: Map[str, object], only: frozenset[str] | None) -> Iterable[str]:
    if only is not None:
        return sorted(c for c in only if c in wanted or c in placed)
    return (*wanted, *(c for c in placed if c not in wanted))
