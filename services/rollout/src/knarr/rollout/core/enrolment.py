"""What a cluster's report means for rollout: who it is, how far it is, what it has confirmed.

Whoever holds one cluster's credential wrote it: what it says is believed of that cluster only, and within bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from knarr.bundle.signing import is_sealing_key, is_signing_key, vouches_for
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.rollout.core.state import Member, Placement, Removal

LARGEST_GENERATION = 1 << 48
LONGEST_UID = 128
_DIGEST_BYTES = 32
_TELL_AGAIN_MS = 3_600_000
_RAISE_AGAIN_MS = 60_000


class Standing(Enum):
    """How a cluster's report relates to what is known of it."""

    KNOWN = "known"
    ENROLLED = "enrolled"  # first report
    REKEYED = "rekeyed"  # a new sealing key, with the word of the signing key that was bound
    AHEAD = "ahead"  # has seen a generation that this hub does not remember
    STRANGER = "stranger"  # another cluster under a known name
    OTHER_EPOCH = "other epoch"
    UNVOUCHED = "unvouched"  # a new sealing key without that word
    IMPOSSIBLE = "impossible"  # says what cannot be


_REFUSALS = {
    Standing.STRANGER: ("KNR3020", "another cluster reports under the name {}"),
    Standing.OTHER_EPOCH: ("KNR3021", "cluster {} obeys another installation"),
    Standing.UNVOUCHED: ("KNR3022", "cluster {} reports another sealing key without the word of its signing key"),
    Standing.IMPOSSIBLE: ("KNR3023", "the report of cluster {} says what cannot be; it is not believed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The standing, the member as it is after the report, and what is worth telling."""

    standing: Standing
    member: Member
    notice: Failure | None = None

    @property
    def is_welcome(self) -> bool:
        """Whether the cluster is to be sent an assignment because of it."""
        return self.standing in (Standing.ENROLLED, Standing.REKEYED, Standing.AHEAD)


def hear(now: Member | None, report: ClusterReport, *, epoch: str, now_ms: int) -> Heard:
    """Judges a cluster report. The broker has authenticated the name; the UID tells two clusters of one name apart."""
    member = now or Member(name=report.cluster)
    standing = _standing(member, report, epoch, now_ms)
    if standing in _REFUSALS:
        return _refused(member, standing, now_ms)
    if standing is Standing.KNOWN:
        return Heard(standing=standing, member=_bound(member, report))
    after = replace(
        _bound(replace(member, uid=report.cluster_uid, sealing_key=report.sealing_public_key), report),
        generation=max(member.generation, report.generation_seen),
        raised_ms=member.raised_ms if standing is Standing.ENROLLED else now_ms,
    )
    notice = None
    if standing is Standing.REKEYED:
        message = f"cluster {member.name} has a new sealing key, with the word of its signing key"
        notice = Failure(code="KNR3025", message=message)
    return Heard(standing=standing, member=after, notice=notice)


def _standing(member: Member, report: ClusterReport, epoch: str, now_ms: int) -> Standing:
    if report.epoch and report.epoch != epoch:
        return Standing.OTHER_EPOCH
    if not _is_possible(member, report):
        return Standing.IMPOSSIBLE
    if member.uid and report.cluster_uid != member.uid:
        return Standing.STRANGER
    if not report.cluster_uid or not report.sealing_public_key:
        return Standing.KNOWN
    if not member.enrolled:
        return Standing.ENROLLED
    is_due = now_ms >= member.raised_ms + _RAISE_AGAIN_MS
    if member.sealing_key != report.sealing_public_key:
        if not _vouched(member, report):
            return Standing.UNVOUCHED
        return Standing.REKEYED if is_due else Standing.KNOWN
    return Standing.AHEAD if is_due and report.generation_seen > member.generation else Standing.KNOWN


def _is_possible(member: Member, report: ClusterReport) -> bool:
    """Whether what rollout uses of the report is what an agent can say. A key is tried before it is believed."""
    return (
        0 <= report.generation_seen <= max(LARGEST_GENERATION, member.generation)
        and len(report.cluster_uid) <= LONGEST_UID
        and report.cluster_uid.isprintable()
        and (report.sealing_public_key in (b"", member.sealing_key) or is_sealing_key(report.sealing_public_key))
    )


def _vouched(member: Member, report: ClusterReport) -> bool:
    return bool(member.signing_key) and vouches_for(
        member.signing_key,
        report.sealing_key_signature,
        cluster_uid=report.cluster_uid,
        sealing_key=report.sealing_public_key,
    )


def _bound(member: Member, report: ClusterReport) -> Member:
    """The signing key is bound with the first report that has one beside the sealing key that is known."""
    known = member.signing_key or not is_signing_key(report.signing_public_key)
    ours = member.enrolled and member.sealing_key == report.sealing_public_key
    return member if known or not ours else replace(member, signing_key=report.signing_public_key)


def _refused(member: Member, standing: Standing, now_ms: int) -> Heard:
    """Each number is told once an hour at most; `told` has those of this hour."""
    code, message = _REFUSALS[standing]
    is_new_hour = now_ms >= member.told_ms + _TELL_AGAIN_MS
    told = () if is_new_hour else tuple(member.told.split())
    if code in told:
        return Heard(standing=standing, member=member)
    after = replace(member, told=" ".join((*told, code)), told_ms=now_ms if is_new_hour else member.told_ms)
    return Heard(standing=standing, member=after, notice=Failure(code=code, message=message.format(member.name)))


_APPLIED = frozenset({AppState.HEALTHY, AppState.DEGRADED, AppState.DRIFTED})


def placement_after(placement: Placement, report: AppReport) -> Placement:
    """What the report proves: an approval that was used up, and whether the agent holds it by its own budget."""
    if report.digest != placement.ref.digest and placement.ref.digest not in report.held_digests:
        return placement
    holds = report.state is AppState.HELD and placement.ref.digest in report.held_digests
    done = report.state in _APPLIED and bool(report.applied_at_ms) and not placement.defer_prune
    used = placement.approved and done
    approved = placement.approved and not used
    protected = _asks_for_protected(report) if holds and not approved else placement.protected and approved
    return replace(placement, agent_holds=holds, approved=approved, protected=protected)


def removal_after(removal: Removal, report: AppReport) -> Removal | None:
    """The tombstone after the report; None when the cluster says, at or after it, that the app is gone.

    An agent that holds it says what it has: one that slept has something older than what was assigned last.
    """
    if report.generation < removal.since_generation or report.generation > LARGEST_GENERATION:
        return removal
    if report.state is AppState.REMOVED:
        return None
    if report.state is not AppState.HELD:
        return replace(removal, agent_holds=False)
    has = next((d for d in report.held_digests if len(d) == _DIGEST_BYTES), removal.digest)
    approved = removal.approved and has == removal.digest
    protected = removal.protected if approved else _asks_for_protected(report)
    return replace(removal, agent_holds=True, digest=has, approved=approved, protected=protected)


def _asks_for_protected(report: AppReport) -> bool:
    """Whether the agent says that what it holds has protected kinds."""
    return any(f.code == "KNR4031" for f in report.failures)
