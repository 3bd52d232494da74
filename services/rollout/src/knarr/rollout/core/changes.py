"""What one event changes: the transaction that the store keeps, and the state after it.

`applied` is the only thing that makes a new state of an old one; what `transition` returns is what the store is given,
so memory and database cannot say different things.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from immutables import Map

from knarr.pipeline.assignment import DryRun
from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.revision import Index, RevisionRendered
from knarr.rollout.core.state import (
    Failing,
    FleetState,
    Grant,
    Guards,
    IndexView,
    Left,
    Member,
    Placement,
    Progress,
    Removal,
    Target,
    signature_part,
    signature_with,
)

K = TypeVar("K")
V = TypeVar("V")
Place = tuple[str, str]  # (app, cluster)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingAssignment:
    """A cluster whose newest assignment has to be published, or published again. Its content follows from the state."""

    cluster: str
    traceparent: str = ""
    spread_seconds: float = 0.0
    dry_runs: tuple[DryRun, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Who approved what, having been shown what, and why."""

    target: str
    actor: str
    reason: str
    evidence: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """One transaction. `None` deletes, and so does an empty `left`. `unused`: indexes that memory need not keep."""

    members: Mapping[str, Member] = field(default_factory=dict)
    targets: Mapping[str, Target | None] = field(default_factory=dict)
    placements: Mapping[Place, Placement | None] = field(default_factory=dict)
    removals: Mapping[Place, Removal | None] = field(default_factory=dict)
    left: Mapping[Place, Left] = field(default_factory=dict)
    departed: Mapping[Place, int | None] = field(default_factory=dict)
    grants: Mapping[str, Grant | None] = field(default_factory=dict)
    failing: Mapping[str, Failing] | None = None
    progress: Mapping[str, Progress] = field(default_factory=dict)
    guards: Guards | None = None
    revisions: tuple[RevisionRendered, ...] = ()
    indexes: Mapping[bytes, Index] = field(default_factory=dict)
    unused: frozenset[bytes] = frozenset()
    approvals: tuple[Approved, ...] = ()
    outgoing: Mapping[str, OutgoingAssignment] = field(default_factory=dict)
    decisions: tuple[RolloutDecided, ...] = ()
    answers: tuple[CommandHandled, ...] = ()

    def then(self, later: Changes) -> Changes:
        """Both, the later one after this one."""
        return Changes(**{f.name: _joined(getattr(self, f.name), getattr(later, f.name)) for f in fields(self)})

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to store."""
        return self == NOTHING


NOTHING = Changes()


def applied(state: FleetState, changes: Changes) -> FleetState:
    """The state after the changes."""
    if changes.nothing:
        return state
    after = replace(
        state,
        members=_updated(state.members, changes.members),
        targets=_updated(state.targets, changes.targets),
        grants=_updated(state.grants, changes.grants),
        progress=_updated(state.progress, changes.progress),
        departed=_updated_within(state.departed, changes.departed.items()),
        left=_updated_within(state.left, (((c, a), ids or None) for (a, c), ids in changes.left.items())),
        failing=Map(changes.failing) if changes.failing is not None else state.failing,
        guards=changes.guards or state.guards,
        indexes=_with_indexes(state.indexes, changes.indexes, changes.unused),
    )
    if changes.removals:
        after = replace(
            after,
            removals=_updated_within(state.removals, changes.removals.items()),
            leaving=_updated_within(state.leaving, (((c, a), r) for (a, c), r in changes.removals.items())),
        )
    return _with_placements(after, changes.placements) if changes.placements else after


def _with_placements(state: FleetState, changed: Mapping[Place, Placement | None]) -> FleetState:
    signatures, deferred = state.signatures.mutate(), state.deferred.mutate()
    for (app, cluster), placement in changed.items():
        before = state.placement(app, cluster)
        removed = signature_part(app, before.ref.digest) if before else 0
        added = signature_part(app, placement.ref.digest) if placement else 0
        if removed != added:
            _put(signatures, cluster, signature_with(signatures.get(cluster, 0), removed, added) or None)
        if placement is not None and placement.defer_prune:
            deferred[app, cluster] = None
        else:
            deferred.pop((app, cluster), None)
    return replace(
        state,
        placements=_updated_within(state.placements, changed.items()),
        assigned=_updated_within(state.assigned, (((c, a), p) for (a, c), p in changed.items())),
        signatures=signatures.finish(),
        deferred=deferred.finish(),
    )


def _with_indexes(
    known: Map[bytes, IndexView], new: Mapping[bytes, Index], unused: frozenset[bytes]
) -> Map[bytes, IndexView]:
    changed: dict[bytes, IndexView | None] = {digest: IndexView.of(index) for digest, index in new.items()}
    return _updated(known, changed | dict.fromkeys(unused))


def _updated(known: Map[K, V], changed: Mapping[K, V | None] | Mapping[K, V]) -> Map[K, V]:
    if not changed:
        return known
    mutation = known.mutate()
    for key, value in changed.items():
        _put(mutation, key, value)
    return mutation.finish()


def _put(mutation: Any, key: Any, value: Any) -> None:
    if value is None:
        mutation.pop(key, None)
    else:
        mutation[key] = value


def _updated_within(known: Map[str, Map[str, V]], changed: Iterable[tuple[Place, V | None]]) -> Map[str, Map[str, V]]:
    """`changed`: (outer, inner) → value; rows that end empty go."""
    rows: dict[str, dict[str, V | None]] = {}
    for (outer, inner), value in changed:
        rows.setdefault(outer, {})[inner] = value
    if not rows:
        return known
    mutation = known.mutate()
    for outer, row in rows.items():
        _put(mutation, outer, _updated(mutation.get(outer, Map()), row) or None)
    return mutation.finish()


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, tuple):
        return one + other
    if isinstance(one, frozenset):
        return one | other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return {**one, **other} if one and other else one or other
    return other if other is not None else one
