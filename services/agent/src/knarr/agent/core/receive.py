"""Whether an assignment may be obeyed (I3, I4): forward only, of one epoch, for this cluster, and understood."""

from __future__ import annotations

from dataclasses import dataclass

from knarr.pipeline.assignment import AssignmentBody, AssignmentHeader
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import is_dns_label

FEATURES: tuple[str, ...] = (
    "tombstones",
    "approvals",
    "dry-run",
    "depends-on",
    "waves",
    "hooks",
    "health-rules",
    "defer-prune",
    "ignored-fields",
    "bounds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """Who this agent is and whom it obeys. `generation` is the highest one seen in this epoch."""

    cluster: str
    cluster_uid: str
    epoch: str
    generation: int


def is_news(header: AssignmentHeader, pinned: Pinned) -> bool:
    """Whether a verified assignment is for us and newer. KNR4001 to KNR4004 when it must be refused."""
    if header.epoch != pinned.epoch:
        raise rejected("KNR4001", f"the assignment is of epoch {header.epoch[:12]!r}, ours is {pinned.epoch[:12]!r}")
    if header.cluster != pinned.cluster:
        raise rejected("KNR4002", f"the assignment is for cluster {header.cluster[:63]!r}")
    if header.cluster_uid != pinned.cluster_uid:
        raise rejected("KNR4003", f"the assignment is for the cluster with UID {header.cluster_uid[:40]!r}")
    if header.generation < pinned.generation:
        raise rejected("KNR4004", f"generation {header.generation} is older than {pinned.generation}, seen before")
    return header.generation > pinned.generation


def understood(body: AssignmentBody) -> AssignmentBody:
    """The body, if this agent knows all that it requires and it does not contradict itself. KNR4005, KNR4007."""
    unknown = sorted(set(body.requires) - set(FEATURES))
    if unknown:
        raise rejected("KNR4005", f"the assignment requires {', '.join(u[:40] for u in unknown[:5])}")
    names = [a.app for a in body.apps] + [t.app for t in body.tombstones]
    for name in names:
        if not is_dns_label(name):
            raise rejected("KNR7002", f"{name[:80]!r} is not an app name")
    if len(set(names)) != len(names):
        raise rejected("KNR4007", "an app is named twice, or both assigned and removed")
    return body
