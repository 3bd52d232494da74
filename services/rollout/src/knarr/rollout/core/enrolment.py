"""What a cluster's report means for rollout: who it is, how far it is, what it has confirmed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.rollout.core.state import Member, Placement, Removal


class Standing(Enum):
    """How a cluster's report relates to what is known of it."""

    KNOWN = "known"
    ENROLLED = "enrolled"  # first report, or a new key of the same cluster
    STRANGER = "stranger"  # another cluster under a known name
    AHEAD = "ahead"  # has seen a generation that this hub does not remember
    OTHER_EPOCH = "other epoch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The standing, and the member as it is after the report."""

    standing: Standing
    member: Member


def hear(now: Member | None, report: ClusterReport, *, epoch: str) -> Heard:
    """Judges a cluster report. The broker has authenticated the name; the UID tells two clusters of one name apart."""
    member = now or Member(name=report.cluster)
    if report.epoch and report.epoch != epoch:
        return Heard(standing=Standing.OTHER_EPOCH, member=member)
    if member.uid and report.cluster_uid != member.uid:
        return Heard(standing=Standing.STRANGER, member=member)
    if not report.cluster_uid or len(report.sealing_public_key) != 32:
        return Heard(standing=Standing.KNOWN, member=member)
    fresh = member.uid == "" or member.sealing_key != report.sealing_public_key
    ahead = report.generation_seen > member.generation
    after = replace(
        member,
        uid=report.cluster_uid,
        sealing_key=report.sealing_public_key,
        generation=max(member.generation, report.generation_seen),
    )
    if fresh:
        return Heard(standing=Standing.ENROLLED, member=after)
    return Heard(standing=Standing.AHEAD if ahead else Standing.KNOWN, member=after)


_APPLIED = frozenset({AppState.HEALTHY, AppState.PROGRESSING, AppState.DEGRADED, AppState.DRIFTED})


def confirmed(placement: Placement, report: AppReport) -> Placement | None:
    """The placement with what the report proves gone forgotten; None when it proves nothing new.

    Only a report that the digest was fully applied proves anything: a failed or held one may still run the old objects.
    """
    if report.state not in _APPLIED or not report.applied_at_ms or report.digest not in placement.baseline:
        return None
    if placement.defer_prune:
        return None
    keep = placement.baseline[placement.baseline.index(report.digest) :]
    return replace(placement, baseline=keep) if keep != placement.baseline else None


def removal_confirmed(removal: Removal, report: AppReport) -> bool:
    """Whether the cluster says that the app is gone, at or after the tombstone."""
    return report.state is AppState.REMOVED and report.generation >= removal.since_generation
