"""The decision: from what is wanted and what is assigned to what is sent, held or refused.

Level-triggered: it looks at the state, not at the event that made somebody look. Holding one app may take away what
another counted on (an object that moves between them), so holds are found to a fixed point; they only ever grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from knarr.pipeline.decision import AppDecision, AppVerdict, AssignedVariant, HeldReason, Loss
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import object_words
from knarr.rollout.core.claims import Clash, clashes, gained_by_others
from knarr.rollout.core.guard import Change, GuardSettings, losses, lost_objects, reasons_to_hold
from knarr.rollout.core.moves import Move, changes_of, moves_to
from knarr.rollout.core.state import FleetState, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One move that goes out. `approved` opens the agent's own budget for it; `defer_prune` closes it for now."""

    move: Move
    approved: bool = False
    defer_prune: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why an app's target is not sent."""

    reasons: tuple[HeldReason, ...]
    losses: tuple[Loss, ...]
    clusters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What goes out, what is held, and how each looked-at app is told about it."""

    sends: tuple[Send, ...]
    held: Mapping[str, Held]
    refused: Mapping[str, tuple[Clash, ...]]
    apps: tuple[AppDecision, ...]


def decide(
    state: FleetState, apps: Iterable[str], settings: GuardSettings, *, only: frozenset[str] | None = None
) -> Decision:
    """Decides the named apps; `only` limits it to these clusters (one that has just enrolled)."""
    looked_at = sorted(a for a in apps if a in state.targets)
    moves = {app: _within(moves_to_target(state, state.targets[app], app), only) for app in looked_at}
    held = _already_held(state, looked_at) if only is not None else {}
    refused: dict[str, tuple[Clash, ...]] = {}
    while True:
        going = _going(state, moves, held, refused)
        more_held = _newly_held(state, going, held, settings)
        more_refused = {} if more_held else _newly_refused(state, going)
        if not more_held and not more_refused:
            break
        held |= more_held
        refused |= more_refused
    sends = tuple(_sends(state, going))
    return Decision(sends=sends, held=held, refused=refused, apps=_told(state, looked_at, moves, sends, held, refused))


def moves_to_target(state: FleetState, target: Target, app: str) -> tuple[Move, ...]:
    """All moves that the target asks for."""
    return moves_to(state, app, target.revision, gone=target.gone)


def target_id(target: Target) -> str:
    """What an approval of this target names."""
    return target.removal_id if target.gone else target.revision.revision


def _already_held(state: FleetState, apps: list[str]) -> dict[str, Held]:
    """A held target stays held for a newcomer, although it would delete nothing there."""
    nothing = Held(reasons=(), losses=(), clusters=())
    targets = {app: state.targets[app] for app in apps}
    return {app: nothing for app, t in targets.items() if t.held and target_id(t) not in state.approvals}


def _within(moves: tuple[Move, ...], only: frozenset[str] | None) -> tuple[Move, ...]:
    return moves if only is None else tuple(m for m in moves if m.cluster in only)


def _going(
    state: FleetState,
    moves: Mapping[str, tuple[Move, ...]],
    held: Mapping[str, Held],
    refused: Mapping[str, tuple[Clash, ...]],
) -> dict[str, tuple[Move, ...]]:
    """What would go out now: held apps bring a cluster that never had them to the last released revision only."""
    going = {}
    for app, wanted in moves.items():
        if app in refused:
            continue
        going[app] = _released_for_newcomers(state, app, wanted) if app in held else wanted
    return going


def _released_for_newcomers(state: FleetState, app: str, wanted: tuple[Move, ...]) -> tuple[Move, ...]:
    target = state.targets[app]
    if target.released is None or target.released.revision == target.revision.revision:
        return ()
    placed = state.placements.get(app, {})
    newcomers = {m.cluster for m in wanted if m.cluster not in placed}
    return tuple(
        m for m in moves_to(state, app, target.released, gone=False) if m.cluster in newcomers and m.ref is not None
    )


def _newly_held(
    state: FleetState, going: Mapping[str, tuple[Move, ...]], held: Mapping[str, Held], settings: GuardSettings
) -> dict[str, Held]:
    gained = gained_by_others(state, [m for ms in going.values() for m in ms], state.indexes)
    found = {}
    for app, moves in going.items():
        if app in held or not moves or target_id(state.targets[app]) in state.approvals:
            continue
        changes = changes_of(state, moves, state.indexes, gained.get(app, {}))
        reasons = reasons_to_hold(app, changes, clusters_before=_clusters_before(state, app), settings=settings)
        if reasons:
            clusters = tuple(sorted(m.cluster for m in moves))
            found[app] = Held(reasons=reasons, losses=losses(changes), clusters=clusters)
    return found


def _newly_refused(state: FleetState, going: Mapping[str, tuple[Move, ...]]) -> dict[str, tuple[Clash, ...]]:
    found: dict[str, list[Clash]] = {}
    for clash in clashes(state, [m for ms in going.values() for m in ms], state.indexes):
        found.setdefault(clash.app, []).append(clash)
    return {app: tuple(c) for app, c in found.items()}


def _clusters_before(state: FleetState, app: str) -> int:
    return sum(1 for c in state.placements.get(app, {}) if c in state.members and state.members[c].in_fleet)


def _sends(state: FleetState, going: Mapping[str, tuple[Move, ...]]) -> Iterable[Send]:
    failing = failing_clusters(state)
    gained = gained_by_others(state, [m for ms in going.values() for m in ms], state.indexes)
    for app, moves in going.items():
        approved = target_id(state.targets[app]) in state.approvals
        for change in changes_of(state, moves, state.indexes, gained.get(app, {})):
            deletes = change.after is None or bool(lost_objects(change))
            for move in _moves_in(moves, change):
                waits = deletes and failing.get(move.cluster, frozenset()) - {app}
                if waits and move.ref is None:
                    continue
                yield Send(move=move, approved=approved and deletes, defer_prune=bool(waits))


def _moves_in(moves: tuple[Move, ...], change: Change) -> Iterable[Move]:
    clusters = set(change.clusters)
    return (m for m in moves if m.cluster in clusters)


def failing_clusters(state: FleetState) -> dict[str, frozenset[str]]:
    """Cluster → the apps that failed to render for it. A failed app whose targets are unknown fails everywhere."""
    found: dict[str, set[str]] = {}
    for app, clusters in state.failing.items():
        for cluster in clusters or state.members:
            found.setdefault(cluster, set()).add(app)
    return {cluster: frozenset(apps) for cluster, apps in found.items()}


def prunes_to_release(state: FleetState) -> tuple[tuple[str, str], ...]:
    """(app, cluster) whose prune was deferred for a failed app that has rendered since."""
    failing = failing_clusters(state)
    return tuple(
        (app, cluster)
        for app, placed in state.placements.items()
        for cluster, placement in placed.items()
        if placement.defer_prune and not failing.get(cluster, frozenset()) - {app}
    )


def _told(
    state: FleetState,
    looked_at: list[str],
    moves: Mapping[str, tuple[Move, ...]],
    sends: tuple[Send, ...],
    held: Mapping[str, Held],
    refused: Mapping[str, tuple[Clash, ...]],
) -> tuple[AppDecision, ...]:
    sent_to: dict[str, list[str]] = {}
    for send in sends:
        sent_to.setdefault(send.move.app, []).append(send.move.cluster)
    found = []
    for app in looked_at:
        target = state.targets[app]
        clusters = tuple(sorted(sent_to.get(app, ())))
        base = AppDecision(app=app, revision=target_id(target), clusters=clusters, variants=_variants(target))
        found.append(_verdict(base, target, held.get(app), refused.get(app), bool(moves[app])))
    return tuple(found)


def _verdict(
    base: AppDecision, target: Target, held: Held | None, refused: tuple[Clash, ...] | None, moved: bool
) -> AppDecision:
    if refused:
        return replace(base, verdict=AppVerdict.REFUSED, failures=tuple(_clash_failure(c) for c in refused[:20]))
    if held:
        return replace(base, verdict=AppVerdict.HELD, clusters=held.clusters, reasons=held.reasons, losses=held.losses)
    if not moved:
        return replace(base, verdict=AppVerdict.UNCHANGED)
    return replace(base, verdict=AppVerdict.REMOVED if target.gone else AppVerdict.ASSIGNED)


def _clash_failure(clash: Clash) -> Failure:
    where = ", ".join(clash.clusters[:3]) + ("…" if len(clash.clusters) > 3 else "")
    return Failure(
        code="KNR3010",
        message=f"app {clash.app} claims {object_words(clash.object_id)}, which app {clash.holder} holds in {where}",
        object_id=clash.object_id,
        next_step=f"Remove the object from one of {clash.app} and {clash.holder}, or move it in one commit.",
    )


def _variants(target: Target) -> tuple[AssignedVariant, ...]:
    if target.gone:
        return ()
    return tuple(
        AssignedVariant(digest=v.bundle.digest, object_count=v.bundle.object_count, clusters=v.clusters)
        for v in target.revision.variants
        if v.bundle is not None
    )
