"""What a decision says of each app: for status, the page, and whoever asks why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from knarr.pipeline.decision import AppDecision, AppVerdict, AssignedVariant
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import object_words
from knarr.pipeline.revision import CommitRendered, RevisionRendered
from knarr.rollout.core.decision import Decision
from knarr.rollout.core.intake import fails
from knarr.rollout.core.situations import Clash
from knarr.rollout.core.state import FleetState, Target

_CLASHES = 20


def told(state: FleetState, decision: Decision) -> tuple[AppDecision, ...]:
    """One entry per app that was looked at; a held one has another for clusters that got what was released last.

    Of an app that was looked at in some clusters only (one that has just joined) no more than what went out is told.
    """
    sent: dict[tuple[str, str], list[str]] = {}
    for send in decision.sends:
        sent.setdefault((send.move.app, send.move.revision), []).append(send.move.cluster)
    return tuple(entry for app in decision.moves for entry in _of_app(state.targets[app], app, decision, sent))


def _of_app(
    target: Target, app: str, decision: Decision, sent: dict[tuple[str, str], list[str]]
) -> Iterator[AppDecision]:
    held, refused = decision.held.get(app), decision.refused.get(app)
    here = tuple(sorted(sent.get((app, target.revision.revision), ())))
    if held is not None and target.released is not None:
        newcomers = tuple(sorted(sent.get((app, target.released.revision), ())))
        if newcomers:
            yield _entry(app, target.released, AppVerdict.ASSIGNED, newcomers)
    whole = app not in decision.limited
    base = replace(_entry(app, target.revision, AppVerdict.UNCHANGED, here), revision=target.id)
    base = replace(base, variants=() if target.gone else base.variants, waiting_clusters=decision.waiting.get(app, ()))
    if refused:
        yield replace(base, verdict=AppVerdict.REFUSED, failures=tuple(_clash(c) for c in refused[:_CLASHES]))
    elif held is not None:
        if whole:
            yield replace(
                base,
                verdict=AppVerdict.HELD,
                clusters=held.clusters,
                reasons=held.reasons,
                losses=held.losses,
                evidence=held.evidence,
            )
    elif here or not whole:
        if here:
            yield replace(base, verdict=AppVerdict.REMOVED if target.gone else AppVerdict.ASSIGNED)
    else:
        yield base


def failed(rendered: CommitRendered) -> tuple[AppDecision, ...]:
    """An app that fails for some clusters only is told twice: here, and with what becomes of the others."""
    return tuple(
        AppDecision(
            app=app.app,
            verdict=AppVerdict.FAILED,
            clusters=app.clusters,
            failures=(Failure(code=app.failure_code),),
        )
        for app in rendered.apps
        if fails(app)
    )


def _entry(app: str, revision: RevisionRendered, verdict: AppVerdict, clusters: tuple[str, ...]) -> AppDecision:
    variants = tuple(
        AssignedVariant(digest=v.bundle.digest, object_count=v.bundle.object_count, clusters=v.clusters)
        for v in revision.variants
        if v.bundle is not None
    )
    return AppDecision(app=app, verdict=verdict, revision=revision.revision, clusters=clusters, variants=variants)


def _clash(clash: Clash) -> Failure:
    where = ", ".join(clash.clusters[:3]) + ("…" if len(clash.clusters) > 3 else "")
    return Failure(
        code="KNR3010",
        message=f"app {clash.app} claims {object_words(clash.object_id)}, which app {clash.holder} holds in {where}",
        object_id=clash.object_id,
        next_step=f"Remove the object from one of {clash.app} and {clash.holder}, or move it in one commit.",
    )
