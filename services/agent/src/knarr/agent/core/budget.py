"""Whether deletions may go unasked: the one rule of knarr.bundle.budget, counted against what is really here (I2).

The limits are the cluster owner's. Only an operator's signed approval opens them; what is untouchable nothing opens.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from knarr.agent.core.objects import Kind
from knarr.bundle.bounds import SYSTEM_NAMESPACES
from knarr.bundle.budget import Budget, Excess, Tally, excesses, is_many
from knarr.bundle.canonical import PROTECTED_KINDS
from knarr.pipeline.assignment import Approval
from knarr.pipeline.names import AGENT_NAMESPACE, ObjectId, split_object_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What counts along in the budget of an app.

    `has`: its objects now; of those that left it within the window, `gone` are nowhere any more, and `moved` are held
    by another app. `recreated` were deleted within the window to be created again.
    """

    app: str = ""
    has: int = 0
    gone: frozenset[ObjectId] = frozenset()
    moved: frozenset[ObjectId] = frozenset()
    recreated: frozenset[ObjectId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """What a plan is about to delete.

    `has` counts the app's objects now, `stays` those of its bundle. `removed`: the app leaves.
    """

    has: int
    stays: int
    going: frozenset[ObjectId] = frozenset()
    removed: bool = False


def over_budget(
    planned: Deletions, past: Past, origins: Iterable[Past], budget: Budget, approval: Approval | None
) -> tuple[str, str] | None:
    """(number, why) when the deletions must wait for an approval; None when they may go.

    `origins`: the apps that some of the objects came from; an object keeps its weight in their budgets too.
    """
    tally = _tally(planned, past)
    found = {e for e in excesses(tally, budget) if not _opens(approval, e)}
    if Excess.PROTECTED in found:
        first = min(i for i in planned.going if protected(i))
        return "KNR4031", f"{tally.protected} protected objects would be deleted, the first {first}"
    if Excess.REMOVED in found:
        return "KNR4030", f"the app and its {planned.has} objects would be deleted"
    if Excess.EMPTIED in found:
        return "KNR4030", f"all {planned.has} objects would be deleted"
    if Excess.MANY in found:
        return "KNR4030", _many(tally)
    for origin in () if approval is not None else origins:
        tally = _tally_of_origin(planned, origin)
        if tally.going and excesses(tally, budget):
            return "KNR4030", f"{_many(tally)}, counted in app {origin.app}, which they came from"
    return None


def room(planned: Deletions, past: Past, budget: Budget) -> int:
    """How many more of the app's objects may be deleted unasked, to be created again."""
    tally, more = _tally(planned, past), 0
    while more < tally.had and not is_many(tally.going + tally.gone + more + 1, tally.had, budget):
        more += 1
    return more


def approval_of(approvals: Iterable[Approval], app: str, digest: bytes) -> Approval | None:
    """The approval of exactly this bundle."""
    return next((a for a in approvals if a.app == app and not a.removal and a.digest == digest), None)


def approval_of_removal(
    approvals: Iterable[Approval], app: str, here: Collection[bytes], since: int
) -> Approval | None:
    """The approval of this removal: of a bundle that is here, and of the tombstone that is there since `since`."""
    given = (a for a in approvals if a.app == app and a.removal and a.digest in here)
    return next((a for a in given if a.digest and a.since_generation == since != 0), None)


def why_not(approvals: Iterable[Approval], app: str) -> str:
    """What to say of approvals of removals that do not count; empty without any."""
    given = [a for a in approvals if a.app == app and a.removal]
    if not given:
        return ""
    if any(a.digest or a.since_generation for a in given):
        return "; the approval that came with it is of another bundle or of an earlier removal"
    return "; the approval that came with it names neither bundle nor removal: an older hub wrote it, upgrade the hub"


def protected(identity: ObjectId) -> bool:
    """Whether its kind takes data or other objects with it."""
    group, kind, _, _ = split_object_id(identity)
    return (group, kind) in PROTECTED_KINDS


def untouchable(identity: ObjectId, own_namespace: str = AGENT_NAMESPACE) -> bool:
    """What no approval opens: whatever lies in the agent's own namespace or the cluster's, and these themselves."""
    group, kind, namespace, name = split_object_id(identity)
    never = SYSTEM_NAMESPACES | {AGENT_NAMESPACE, own_namespace}
    if (group, kind) == ("", "Namespace"):
        return name in never or name == "default"
    return namespace in never


def kind_of(identity: ObjectId) -> Kind:
    """The kind in an object id."""
    group, kind, _, _ = split_object_id(identity)
    return Kind(group, kind)


def _opens(approval: Approval | None, excess: Excess) -> bool:
    return approval is not None and (excess is not Excess.PROTECTED or approval.protected)


def _tally(planned: Deletions, past: Past) -> Tally:
    again = len(past.recreated - planned.going)
    return Tally(
        before=max(planned.has - again, min(planned.has, 1)),
        after=planned.stays,
        going=len(planned.going),
        gone=len(past.gone) + again,
        moved=len(past.moved),
        protected=sum(protected(i) for i in planned.going),
        removed=planned.removed,
    )


def _tally_of_origin(planned: Deletions, origin: Past) -> Tally:
    """What moved away is still the app's as far as its budget goes."""
    had, going = origin.has + len(origin.moved), len(planned.going & origin.moved)
    return Tally(before=had, after=had - going, going=going, gone=len(origin.gone))


def _many(tally: Tally) -> str:
    before = f", after {tally.gone} in the time before," if tally.gone else ""
    return f"{tally.going} of {tally.had} objects{before} would be deleted"
