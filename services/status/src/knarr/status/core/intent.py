"""What snapshots, revisions and decisions mean for the read model: message → rows. Pure; called by record.py."""

from __future__ import annotations

from collections.abc import Mapping

from knarr.pipeline.decision import AppDecision, AppVerdict, Loss, RolloutDecided
from knarr.pipeline.names import is_dns_label
from knarr.pipeline.revision import CommitRendered, Index, RenderedApp, RevisionRendered, Variant
from knarr.pipeline.snapshot import Commit
from knarr.status.core.position import Position
from knarr.status.core.projection import as_json, failures_json
from knarr.status.core.rows import AssignedRow, BundleRow, CommitRow, RevisionRow, VariantRow, VerdictRow
from knarr.status.core.text import clean, safe_url

_LOST_IDS = 500
_TAKES = frozenset({AppVerdict.REMOVED, AppVerdict.DETACHED})


def commit_row(commit: Commit | None) -> CommitRow | None:
    """None for a message that names no commit, or one with names that cannot be."""
    if commit is None or not is_dns_label(commit.source):
        return None
    return CommitRow(
        source=commit.source,
        number=commit.number,
        sha=clean(commit.sha, 64),
        ref=clean(commit.ref, 250),
        author=clean(commit.author, 250),
        subject=clean(commit.subject, 500),
        url=safe_url(commit.url),
        committed_at_ms=commit.committed_at_ms,
        observed_at_ms=commit.observed_at_ms,
    )


def revision_row(message: RevisionRendered) -> RevisionRow:
    """The revision itself."""
    commit, fleet = message.commit or Commit(), message.fleet_commit or Commit()
    return RevisionRow(
        revision=clean(message.revision, 128),
        app=message.app,
        source=commit.source,
        commit_number=commit.number,
        commit_sha=clean(commit.sha, 64),
        fleet_number=fleet.number,
        facts_number=message.facts_number,
        rendered_at_ms=message.rendered_at_ms,
        path=clean(message.path, 1000),
    )


def variant_rows(message: RevisionRendered) -> tuple[VariantRow, ...]:
    """Clusters grouped by bundle, one row per digest."""
    grouped: dict[bytes, tuple[Variant, set[str]]] = {}
    for variant in message.variants:
        if variant.bundle is not None:
            _, clusters = grouped.setdefault(variant.bundle.digest, (variant, set()))
            clusters.update(variant.clusters)
    return tuple(
        VariantRow(
            digest=digest,
            object_count=variant.bundle.object_count if variant.bundle else 0,
            clusters=tuple(sorted(clusters)),
            origins_json=as_json({clean(o.object_id, 600): clean(o.origin, 600) for o in variant.origins}),
        )
        for digest, (variant, clusters) in sorted(grouped.items())
    )


def bundle_row(index: Index) -> BundleRow:
    """The object ids of one bundle."""
    return BundleRow(
        digest=index.digest,
        object_ids=tuple(clean(o.object_id, 600) for o in index.objects),
        protected_ids=tuple(clean(o.object_id, 600) for o in index.objects if o.protected),
    )


def outcomes_json(message: CommitRendered) -> str:
    """Each app's outcome, as the API shows it."""
    return as_json(
        [
            {
                "app": a.app,
                "outcome": a.outcome.value,
                "revision": clean(a.revision, 128),
                "code": clean(a.failure_code, 16),
                "source": a.source,
            }
            for a in sorted_apps(message)
        ]
    )


def sorted_apps(message: CommitRendered) -> list[RenderedApp]:
    """By name, each once."""
    return [a for _, a in sorted({a.app: a for a in message.apps if is_dns_label(a.app)}.items())]


def members(message: CommitRendered) -> Mapping[str, Mapping[str, str]] | None:
    """Cluster → labels as the fleet names them; None when that could not be read, which is not the same as none."""
    if not message.fleet_read:
        return None
    return {
        c.name: {clean(k, 250): clean(v, 250) for k, v in sorted(c.labels.items())}
        for c in message.clusters
        if is_dns_label(c.name)
    }


def verdict_rows(message: RolloutDecided, position: Position) -> tuple[VerdictRow, ...]:
    """One row per app that the decision speaks of."""
    return tuple(_verdict(message, app, position) for app in sorted(message.apps, key=lambda a: a.app))


def _verdict(message: RolloutDecided, app: AppDecision, position: Position) -> VerdictRow:
    return VerdictRow(
        position=position,
        app=app.app,
        revision=clean(app.revision, 128),
        verdict=app.verdict.value,
        decided_at_ms=message.decided_at_ms,
        command_id=clean(message.command_id, 128),
        clusters=tuple(sorted(app.clusters)),
        reasons_json=as_json([{"code": clean(r.code, 16), "message": clean(r.message)} for r in app.reasons]),
        losses_json=as_json([_loss(loss) for loss in app.losses]),
        failures_json=failures_json(app.failures),
        variants_json=as_json(
            [{"digest": v.digest.hex(), "objects": v.object_count, "clusters": len(v.clusters)} for v in app.variants]
        ),
        evidence=app.evidence.hex(),
        waiting=tuple(sorted(app.waiting_clusters)),
    )


def _loss(loss: Loss) -> dict[str, object]:
    return {
        "clusters": sorted(loss.clusters),
        "objects": [clean(o, 600) for o in loss.object_ids[:_LOST_IDS]],
        "object_count": len(loss.object_ids),
        "objects_before": loss.objects_before,
        "app_removed": loss.app_removed,
        "gone_before": loss.gone_before,
    }


def assigned_rows(message: RolloutDecided, position: Position) -> tuple[AssignedRow, ...]:
    """What each cluster was assigned, and what was taken from it."""
    generations = {a.cluster: a.generation for a in message.assignments}
    rows: list[AssignedRow] = []
    for app in message.apps:
        for cluster, digest in _given(app, frozenset(message.unenrolled_clusters)).items():
            rows.append(
                AssignedRow(
                    position=position,
                    cluster=cluster,
                    app=app.app,
                    digest=digest,
                    generation=generations.get(cluster),
                    revision=clean(app.revision, 128),
                    assigned_at_ms=message.decided_at_ms,
                )
            )
    return tuple(sorted(rows, key=lambda r: (r.cluster, r.app)))


def _given(app: AppDecision, unenrolled: frozenset[str]) -> dict[str, bytes | None]:
    """`unchanged`: every enrolled cluster of the variants has it; `assigned`: the named clusters get it now."""
    if app.verdict in _TAKES:
        return dict.fromkeys(app.clusters)
    every = {c: v.digest for v in app.variants for c in v.clusters}
    if app.verdict is AppVerdict.ASSIGNED:
        return {c: every[c] for c in app.clusters if c in every}
    if app.verdict is AppVerdict.UNCHANGED:
        return {c: digest for c, digest in every.items() if c not in unenrolled}
    return {}
