"""One cluster's assignment: everything it should run now, from the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from immutables import Map

from knarr.pipeline.assignment import Approval, AssignedApp, AssignmentBody, DryRun, Tombstone
from knarr.pipeline.revision import BundleRef
from knarr.rollout.core.changes import OutgoingAssignment
from knarr.rollout.core.state import FleetState

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


def body_for(state: FleetState, out: OutgoingAssignment, *, key_of: KeyOf) -> AssignmentBody:
    """The body. `key_of`: plain digest → bundle key. Approvals only where an operator approved."""
    leaving = state.leaving.get(out.cluster, Map())
    assigned, approvals, tombstones = [], [], []
    for app, placement in sorted(state.assigned.get(out.cluster, Map()).items()):
        if app in leaving:
            continue
        ref = placement.ref
        assigned.append(assigned_app(app, ref, key_of(ref.digest), defer_prune=placement.defer_prune))
        if placement.approved:
            approvals.append(
                Approval(app=app, digest=ref.digest, revision=placement.revision, protected=placement.protected)
            )
    for app, removal in sorted(leaving.items()):
        tombstones.append(Tombstone(app=app, since_generation=removal.since_generation))
        if removal.approved:
            approvals.append(
                Approval(
                    app=app,
                    digest=removal.digest,
                    revision=removal.revision,
                    removal=True,
                    protected=removal.protected,
                    since_generation=removal.since_generation,
                )
            )
    return AssignmentBody(
        apps=tuple(assigned),
        tombstones=tuple(tombstones),
        approvals=tuple(approvals),
        fetch_spread_seconds=out.spread_seconds,
        traceparent=out.traceparent,
        dry_runs=tuple(_with_key(d, key_of) for d in out.dry_runs),
        requires=("defer-prune",) if any(a.defer_prune for a in assigned) else (),
    )


def _with_key(asked: DryRun, key_of: KeyOf) -> DryRun:
    """The question with the bundle's key, which the store does not keep."""
    return replace(asked, app=replace(asked.app, key=key_of(asked.app.digest))) if asked.app is not None else asked
