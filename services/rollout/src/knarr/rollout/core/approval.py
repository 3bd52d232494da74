"""Approvals: an operator lets pass exactly what was shown, once, for a day.

A grant is bound to the target and to what would go in each cluster; where something else would go by the time that it
is used, it does not count. It ends when it is used up, when the target changes, and when it expires.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from immutables import Map

from knarr.pipeline.decision import AppDecision, AppVerdict, Command, HeldReason
from knarr.pipeline.digest import sha256
from knarr.pipeline.errors import Rejected, rejected
from knarr.rollout.core.changes import Approved, Changes
from knarr.rollout.core.decision import Decision, decide, shown_losses
from knarr.rollout.core.guard import GuardSettings
from knarr.rollout.core.moves import wanted_refs
from knarr.rollout.core.state import FleetState, Grant, Target

APPROVAL_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What becomes of an approval: the refusal, or what it changes and the app to look at again.

    `telling`: what is held now, where that is not what was shown.
    """

    app: str
    changes: Changes = Changes()
    refusal: Rejected | None = None
    telling: Decision | None = None


def approve(state: FleetState, command: Command, settings: GuardSettings, now_ms: int) -> Ruling:
    """Judges an approval of a held target, or of what agents hold by their own budget."""
    app = next((a for a, t in state.targets.items() if t.id == command.revision), None)
    if app is None:
        return _no(f"no revision {command.revision[:80]!r} is wanted now")
    target = state.targets[app]
    if not target.held:
        return _approve_agents(state, app, target, command)
    decision = decide(state, looks_beside(state, app), settings, now_ms)
    held = decision.held.get(app)
    if app in decision.refused:
        return _no(f"app {app} claims objects of another app: an approval does not help", app=app)
    if held is None:
        return Ruling(app=app)  # nothing needs an approval any more
    if not command.evidence or command.evidence != held.evidence:
        return _no(_CHANGED.format(app), code="KNR3032", app=app, telling=decision)
    grant = Grant(target=target.id, evidence=held.evidence, approved_ms=now_ms, clusters=shown_losses(held.losses))
    return Ruling(app=app, changes=Changes(grants={app: grant}, approvals=(_approved(command),)))


def looks_beside(state: FleetState, app: str) -> dict[str, frozenset[str] | None]:
    """The app, those that are refused (its object may be what they wait for), and those whose steps wait."""
    beside = (a for a, t in state.targets.items() if t.waiting or (t.held and t.judged_by is None))
    return dict.fromkeys((app, *beside))


_CHANGED = "what would go of app {} is not what was shown; nothing was approved"


def _approve_agents(state: FleetState, app: str, target: Target, command: Command) -> Ruling:
    entry = held_by_agents(state, app)
    if entry is None:
        return _no(f"revision {command.revision[:80]} of app {app} is not held", app=app)
    if command.evidence != entry.evidence:
        return _no(_CHANGED.format(app), code="KNR3032", app=app)
    placed, leaving = state.placements.get(app, Map()), state.removals.get(app, Map())
    holding = frozenset(entry.clusters)
    return Ruling(
        app=app,
        changes=Changes(
            placements={(app, c): replace(placed[c], approved=True, agent_holds=False) for c in holding if c in placed},
            removals={(app, c): replace(leaving[c], approved=True, agent_holds=False) for c in holding if c in leaving},
            approvals=(_approved(command),),
        ),
    )


def held_by_agents(state: FleetState, app: str) -> AppDecision | None:
    """What is told of an app that agents hold by their own budget; None when none does.

    The evidence names what the hub assigned, and neither the clusters nor what agents say of themselves: one that
    changes its word at every report would keep all others from their approval.
    """
    target = state.targets.get(app)
    if target is None:
        return None
    holding = {c: p.ref.digest for c, p in state.placements.get(app, Map()).items() if p.agent_holds}
    removing = {c for c, r in state.removals.get(app, Map()).items() if r.agent_holds}
    clusters = tuple(sorted(c for c in {*holding, *removing} if state.reachable(c)))
    if not clusters:
        return None
    where = ", ".join(clusters[:3]) + (f" and {len(clusters) - 3} more" if len(clusters) > 3 else "")
    reason = HeldReason(code="KNR3008", message=f"the agents of {where} hold app {app} by their own budget")
    assigned = sorted({ref.digest.hex() for ref in wanted_refs(target.revision).values()})
    return AppDecision(
        app=app,
        verdict=AppVerdict.HELD,
        revision=target.id,
        clusters=clusters,
        reasons=(reason,),
        evidence=sha256("\n".join((app, target.id, "held by agents", *assigned)).encode()),
    )


def expired(state: FleetState, now_ms: int) -> tuple[str, ...]:
    """Apps whose approval was not used up in time."""
    return tuple(sorted(a for a, g in state.grants.items() if now_ms >= g.approved_ms + APPROVAL_MS))


def withdrawn(apps: Iterable[str]) -> Changes:
    """Their grants end."""
    return Changes(grants=dict.fromkeys(apps))


def _approved(command: Command) -> Approved:
    return Approved(target=command.revision, actor=command.actor, reason=command.reason, evidence=command.evidence)


def _no(message: str, *, code: str = "KNR3030", app: str = "", telling: Decision | None = None) -> Ruling:
    return Ruling(app=app, refusal=rejected(code, message), telling=telling)
