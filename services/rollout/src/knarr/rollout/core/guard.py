"""The deletion budget over the fleet (design section 6, I2).

Counts what a change would delete, in each cluster against what that cluster was last assigned, and says why that is
too much. Clusters that lose the same are one `Loss`. An approval is not looked at here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from knarr.pipeline.decision import HeldReason, Loss
from knarr.rollout.core.state import EMPTY_INDEX, IndexView


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """Limits of `fleet.yaml` (`spec.guards`). Shares are of an app's objects in a cluster, or of an app's clusters."""

    max_lost_share: float = 0.2
    min_lost_objects: int = 3
    max_clusters_left_share: float = 0.2
    hold_removal: bool = True
    hold_protected: bool = True

    @staticmethod
    def of(document: bytes) -> GuardSettings:
        """From the canonical JSON of a message; defaults where it says nothing."""
        found = json.loads(document) if document else {}
        default = GuardSettings()
        return GuardSettings(
            max_lost_share=float(found.get("maxLostShare", default.max_lost_share)),
            min_lost_objects=int(found.get("minLostObjects", default.min_lost_objects)),
            max_clusters_left_share=float(found.get("maxClustersLeftShare", default.max_clusters_left_share)),
            hold_removal=bool(found.get("holdRemoval", default.hold_removal)),
            hold_protected=bool(found.get("holdProtected", default.hold_protected)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One app in a group of clusters: from what they may run (`before`) to `after`; None: the app is removed there."""

    clusters: tuple[str, ...]
    before: tuple[IndexView, ...]
    after: IndexView | None
    # Objects that other apps of these clusters gain in the same commit: moved, not lost.
    gained_elsewhere: frozenset[str] = frozenset()


def lost_objects(change: Change) -> frozenset[str]:
    """Ids that the change would delete. A new hash suffix or a move to another app is no deletion."""
    before: frozenset[str] = frozenset().union(*(index.ids for index in change.before))
    after = change.after or EMPTY_INDEX
    gone = before - after.ids - change.gained_elsewhere
    if not gone:
        return gone
    stable = {k: v for index in change.before for k, v in index.stable.items()}
    renamed_to = {after.stable[i] for i in after.ids - before if i in after.stable}
    return frozenset(i for i in gone if stable.get(i) not in renamed_to)


def losses(changes: Iterable[Change]) -> tuple[Loss, ...]:
    """What would go, one entry per group of clusters that lose something."""
    found = []
    for change in changes:
        lost = lost_objects(change)
        removed = change.after is None
        if lost or removed:
            found.append(
                Loss(
                    clusters=change.clusters,
                    object_ids=tuple(sorted(lost)),
                    objects_before=_count_before(change),
                    app_removed=removed,
                )
            )
    return tuple(found)


def reasons_to_hold(
    app: str, changes: tuple[Change, ...], *, clusters_before: int, settings: GuardSettings
) -> tuple[HeldReason, ...]:
    """Why the change is too destructive to be sent unasked; empty when it is not."""
    found: dict[str, HeldReason] = {}

    def add(code: str, message: str) -> None:
        found.setdefault(code, HeldReason(code=code, message=message))

    for change in changes:
        lost = lost_objects(change)
        before = _count_before(change)
        where = _where(change.clusters)
        if change.after is None:
            if settings.hold_removal:
                add("KNR3001", f"app {app} would be removed from {where}")
            continue
        if before and not change.after.ids:
            add("KNR3002", f"app {app} would be emptied in {where}: all {before} objects would be deleted")
        elif len(lost) >= settings.min_lost_objects and len(lost) > settings.max_lost_share * before:
            add("KNR3003", f"app {app} would lose {len(lost)} of its {before} objects in {where}")
        protected = sorted(lost & frozenset().union(*(index.protected for index in change.before)))
        if protected and settings.hold_protected:
            add("KNR3004", f"app {app} would delete {', '.join(protected[:5])} in {where}")
    leaving = sum(len(change.clusters) for change in changes if change.after is None)
    if clusters_before and leaving > settings.max_clusters_left_share * clusters_before:
        add("KNR3005", f"app {app} would leave {leaving} of its {clusters_before} clusters")
    return tuple(found.values())


def _count_before(change: Change) -> int:
    return len(frozenset().union(*(index.ids for index in change.before)))


def _where(clusters: tuple[str, ...]) -> str:
    shown = ", ".join(clusters[:3])
    return shown if len(clusters) <= 3 else f"{shown} and {len(clusters) - 3} more clusters"
