"""What a report means for the read model: message → rows. Pure; called by record.py for each message of a batch.

The subject under which a report arrived is what the broker let the sender publish on; a body that claims another
cluster or app is refused (KNR5002).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from knarr.pipeline.errors import rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import REPORTED_LABEL_PREFIX, is_dns_label
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.status.core.position import Position
from knarr.status.core.rows import ClusterRow, PlacementRow, TransitionRow
from knarr.status.core.text import clean

# At most so many entries of a list are kept: a page shows a few, and a report must not fill the database.
_ENTRIES = 50
_LABELS = 64
_CAPABILITIES = 5_000
_BIGINT = 2**63 - 1


def as_json(value: Any) -> str:
    """Compact JSON text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def failures_json(failures: Iterable[Failure]) -> str:
    """Failures as the API shows them, cleaned and bounded."""
    return as_json([_failure(f) for f in tuple(failures)[:_ENTRIES]])


def failure_json(failure: Failure) -> str:
    """One failure, likewise."""
    return as_json(_failure(failure))


def _failure(f: Failure) -> dict[str, Any]:
    return {
        "code": clean(f.code, 16),
        "message": clean(f.message),
        "object": clean(f.object_id, 600),
        "origin": clean(f.origin, 600),
        "next_step": clean(f.next_step),
        "retryable": f.retryable,
    }


def cluster_row(report: ClusterReport, subject: str, position: Position, heard_at_ms: int) -> ClusterRow:
    """The cluster's own words. KNR5002 when the report is not about the cluster that sent it."""
    _, cluster, *_ = [*subject.split("."), ""]
    _check_claim(report.cluster, cluster, subject)
    labels = {
        REPORTED_LABEL_PREFIX + clean(k, 250): clean(v, 250) for k, v in sorted(report.labels.items())[:_LABELS] if k
    }
    return ClusterRow(
        position=position,
        name=cluster,
        heard_at_ms=heard_at_ms,
        epoch=clean(report.epoch, 100),
        uid=clean(report.cluster_uid, 100),
        generation_seen=_bounded(report.generation_seen),
        generation_applied=_bounded(report.generation_applied),
        agent_version=clean(report.agent_version, 60),
        start_number=_bounded(report.start_number),
        kubernetes_version=clean(report.kubernetes_version, 60),
        labels_json=as_json(labels),
        capabilities=_capabilities(report),
        features=tuple(clean(f, 60) for f in report.features[:_ENTRIES]),
        failures_json=failures_json(report.failures),
        app_count=_bounded(report.app_count),
        reported_at_ms=_bounded(report.reported_at_ms),
    )


def _capabilities(report: ClusterReport) -> tuple[str, ...] | None:
    """None when they are not known, or too many to keep: part of them would read as if the rest were not served."""
    if not report.capabilities_known or len(report.capabilities) > _CAPABILITIES:
        return None
    return tuple(clean(c, 200) for c in report.capabilities)


def placement_row(report: AppReport, subject: str, position: Position, heard_at_ms: int) -> PlacementRow:
    """The cluster's words on one app. KNR5002 when the report is not about the subject's cluster and app."""
    _, cluster, _, app, *_ = [*subject.split("."), "", "", ""]
    _check_claim(report.cluster, cluster, subject)
    _check_claim(report.app, app, subject)
    return PlacementRow(
        position=position,
        cluster=cluster,
        app=app,
        heard_at_ms=heard_at_ms,
        state=report.state.value,
        digest=_digest(report.digest),
        generation=_bounded(report.generation),
        since_ms=_bounded(report.since_ms),
        applied_at_ms=_bounded(report.applied_at_ms),
        message=clean(report.message),
        failures_json=failures_json(report.failures),
        unhealthy_json=_unhealthy(report),
        drift_json=_drift(report),
        adoptions_json=_adoptions(report),
        counts_json=_counts(report),
        object_count=_bounded(report.object_count),
        held_digests=tuple(_digest(d).hex() for d in report.held_digests[:_ENTRIES]),
        traceparent=clean(report.traceparent, 60),
    )


def transition_rows(report: AppReport) -> tuple[TransitionRow, ...]:
    """The history that the report brings, oldest first."""
    return tuple(
        TransitionRow(
            cluster=report.cluster,
            app=report.app,
            at_ms=_bounded(t.at_ms),
            state=t.state.value,
            digest=_digest(t.digest),
            generation=_bounded(t.generation),
            reason=clean(t.reason, 500),
        )
        for t in report.transitions[-_ENTRIES:]
    )


def _check_claim(claimed: str, allowed: str, subject: str) -> None:
    if claimed == allowed and is_dns_label(allowed):
        return
    raise rejected("KNR5002", f"a report on {subject[:160]!r} claims to be about {claimed[:80]!r}")


def _bounded(number: int) -> int:
    return max(0, min(number, _BIGINT))


def _digest(digest: bytes) -> bytes:
    return digest if len(digest) == 32 else b""


def _unhealthy(report: AppReport) -> str:
    return as_json(
        [
            {"object": clean(u.object_id, 600), "status": clean(u.status, 60), "message": clean(u.message)}
            for u in report.unhealthy[:_ENTRIES]
        ]
    )


def _drift(report: AppReport) -> str:
    return as_json(
        [
            {
                "object": clean(d.object_id, 600),
                "manager": clean(d.manager, 200),
                "paths": [clean(p, 300) for p in d.paths[:20]],
                "at_ms": _bounded(d.at_ms),
                "healed": d.healed,
                "deleted": d.deleted,
                "fight": d.fight,
            }
            for d in report.drift[-_ENTRIES:]
        ]
    )


def _adoptions(report: AppReport) -> str:
    return as_json(
        [
            {
                "object": clean(a.object_id, 600),
                "outcome": a.outcome.value,
                "previous_manager": clean(a.previous_manager, 200),
                "differences": [clean(d, 300) for d in a.differences[:20]],
            }
            for a in report.adoptions[:_ENTRIES]
        ]
    )


def _counts(report: AppReport) -> str:
    counts = report.counts
    if counts is None:
        return "{}"
    names = ("created", "configured", "unchanged", "adopted", "pruned", "skipped", "failed")
    return as_json({name: getattr(counts, name) for name in names if getattr(counts, name)})
