"""The agent's own deletion budget (I2): the same numbers as the hub's guard, counted against what is really here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from knarr.agent.core.objects import Kind
from knarr.bundle.canonical import PROTECTED_KINDS
from knarr.pipeline.assignment import Approval
from knarr.pipeline.names import AGENT_NAMESPACE, ObjectId, split_object_id

SHARE = 0.2
AT_LEAST = 3
UNTOUCHABLE_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease", "default", AGENT_NAMESPACE})
_HASH_SUFFIX = re.compile(r"-[bcdfghkmt24-9]{10}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """What an app is about to lose. `going` leaves out what only changed its hash suffix."""

    before: int
    going: tuple[ObjectId, ...]
    app_removed: bool = False


def deletions(before: Iterable[ObjectId], after: Iterable[ObjectId], *, app_removed: bool = False) -> Deletions:
    """The objects that go; a rename that differs only in kustomize's hash suffix is a change."""
    held, wanted = list(before), set(after)
    stable = {_stable(identity) for identity in wanted}
    going = tuple(sorted(i for i in held if i not in wanted and _stable(i) not in stable))
    return Deletions(before=len(held), going=going, app_removed=app_removed)


def protected(identity: ObjectId) -> bool:
    """Whether its kind takes data or other objects with it."""
    group, kind, _, _ = split_object_id(identity)
    return (group, kind) in PROTECTED_KINDS


def untouchable(identity: ObjectId, own_namespace: str = AGENT_NAMESPACE) -> bool:
    """Namespaces that no approval opens: the agent's own and the cluster's."""
    group, kind, namespace, name = split_object_id(identity)
    if (group, kind) == ("", "Namespace"):
        return name in UNTOUCHABLE_NAMESPACES or name == own_namespace
    return namespace in ("kube-system", own_namespace)


def over_budget(planned: Deletions, approval: Approval | None) -> tuple[str, str] | None:
    """(number, why) when the deletions must wait for an approval; None when they may go."""
    if not planned.going and not planned.app_removed:
        return None
    guarded = [i for i in planned.going if protected(i)]
    if guarded and not (approval and approval.protected):
        return "KNR4031", f"{len(guarded)} protected objects would be deleted, the first {guarded[0]}"
    if approval is not None:
        return None
    if planned.app_removed:
        return "KNR4030", f"the app and its {planned.before} objects would be deleted"
    if len(planned.going) == planned.before:
        return "KNR4030", f"all {planned.before} objects would be deleted"
    if len(planned.going) >= AT_LEAST and len(planned.going) > planned.before * SHARE:
        return "KNR4030", f"{len(planned.going)} of {planned.before} objects would be deleted"
    return None


def approval_for(approvals: Iterable[Approval], app: str, digest: bytes, *, removal: bool) -> Approval | None:
    """The approval of exactly this bundle, or of this app's removal."""
    for approval in approvals:
        if approval.app != app:
            continue
        if approval.removal if removal else approval.digest == digest and not approval.removal:
            return approval
    return None


def _stable(identity: ObjectId) -> ObjectId:
    group, kind, _, _ = split_object_id(identity)
    if (group, kind) not in (("", "ConfigMap"), ("", "Secret")):
        return identity
    return ObjectId(_HASH_SUFFIX.sub("", identity))


def kind_of(identity: ObjectId) -> Kind:
    """The kind in an object id."""
    group, kind, _, _ = split_object_id(identity)
    return Kind(group, kind)
