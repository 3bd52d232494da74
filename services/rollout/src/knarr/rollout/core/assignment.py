"""One cluster's assignment: everything it should run now, from the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from knarr.pipeline.assignment import Approval, AssignedApp, AssignmentBody, DryRun, Tombstone
from knarr.pipeline.revision import BundleRef
from knarr.rollout.core.state import FleetState

SPREAD_FROM_BYTES = 50_000_000
SPREAD_BYTES_PER_SECOND = 100_000_000
KeyOf = Callable[[bytes], bytes]


def assigned_app(app: str, ref: BundleRef, key: bytes, *, defer_prune: bool = False) -> AssignedApp:
    """How an agent finds, opens and checks the bundle."""
    return AssignedApp(
        app=app,
        digest=ref.digest,
        address=ref.address,
        key=key,
        plain_size=ref.plain_size,
        object_count=ref.object_count,
        chunk_count=ref.chunk_count,
        sealed_size=ref.sealed_size,
        defer_prune=defer_prune,
    )


def placements_by_cluster(state: FleetState, clusters: Sequence[str]) -> dict[str, list[str]]:
    """Cluster → the apps placed or being removed there, for the named clusters; one pass over the state."""
    wanted = set(clusters)
    found: dict[str, list[str]] = {cluster: [] for cluster in clusters}
    for app in sorted(state.placements):
        placed = state.placements[app]
        for cluster in wanted & placed.keys() if len(wanted) > len(placed) else (c for c in wanted if c in placed):
            found[cluster].append(app)
    return found


def body_for(
    state: FleetState,
    cluster: str,
    apps: Sequence[str],
    *,
    key_of: KeyOf,
    spread_seconds: float = 0.0,
    traceparent: str = "",
    dry_runs: tuple[DryRun, ...] = (),
) -> AssignmentBody:
    """The body. `apps`: what `placements_by_cluster` found for the cluster; `key_of`: plain digest → bundle key."""
    removals = {app: found[cluster] for app, found in state.removals.items() if cluster in found}
    assigned, approvals = [], []
    for app in apps:
        if app in removals:
            continue
        placement = state.placements[app][cluster]
        assigned.append(
            assigned_app(app, placement.ref, key_of(placement.ref.digest), defer_prune=placement.defer_prune)
        )
        if placement.approved:
            approvals.append(
                Approval(app=app, digest=placement.ref.digest, revision=placement.revision, protected=True)
            )
    for app, removal in sorted(removals.items()):
        approvals.append(Approval(app=app, revision=removal.revision, removal=True, protected=True))
    tombstones = tuple(Tombstone(app=a, since_generation=r.since_generation) for a, r in sorted(removals.items()))
    return AssignmentBody(
        apps=tuple(assigned),
        tombstones=tombstones,
        approvals=tuple(approvals),
        fetch_spread_seconds=spread_seconds,
        traceparent=traceparent,
        dry_runs=dry_runs,
        requires=("defer-prune",) if any(a.defer_prune for a in assigned) else (),
    )


def fetch_spread_seconds(new_bytes: Mapping[str, int]) -> float:
    """Over how long the clusters should spread their fetches; `new_bytes`: cluster → sealed bytes it has to fetch."""
    total = sum(new_bytes.values())
    return 0.0 if total < SPREAD_FROM_BYTES else total / SPREAD_BYTES_PER_SECOND
