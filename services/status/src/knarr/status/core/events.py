"""Which transitions are worth telling: message → EventRow. Pure; called by record.py."""

from __future__ import annotations

import hashlib

from knarr.pipeline.decision import AppVerdict, DeadLetter, EventRecorded, RolloutDecided
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import is_dns_label
from knarr.status.core.rows import ALL, EventRow, PlacementRow, StrangerRow, VerdictRow
from knarr.status.core.standing import Standing
from knarr.status.core.text import clean

_HOUR_MS = 3_600_000
_NOTICES = 50
_MANY = frozenset({"KNR7017", "KNR7018"})

_TOLD = {
    Standing.FAILED: "app-failed",
    Standing.DEGRADED: "app-degraded",
    Standing.DRIFTED: "app-drifted",
    Standing.HELD: "app-held",
}


def event(kind: str, *, at_ms: int, message: str, unique: str, **where: str) -> EventRow:
    """An event whose id comes from what it tells and from `unique`, so that telling it twice is telling it once."""
    told = "\0".join((kind, unique, *(f"{k}={v}" for k, v in sorted(where.items()))))
    return EventRow(
        event_id=hashlib.sha256(told.encode()).hexdigest()[:32],
        kind=kind,
        cluster=where.get("cluster", ""),
        app=where.get("app", ""),
        message=message[:500],
        code=where.get("code", ""),
        revision=where.get("revision", ""),
        at_ms=at_ms,
    )


def placement_event(before: Standing | None, after: Standing, row: PlacementRow) -> EventRow | None:
    """Going bad is told, and coming back from bad; the ordinary course of a change is not."""
    if before == after:
        return None
    unique = f"{row.position.stream_created}/{row.position.sequence}"
    if after in _TOLD:
        message = row.message or f"{row.app} in {row.cluster} is {after.word}"
        return event(
            _TOLD[after], at_ms=row.heard_at_ms, message=message, unique=unique, cluster=row.cluster, app=row.app
        )
    if after is Standing.HEALTHY and before in _TOLD:
        message = f"{row.app} in {row.cluster} is healthy again"
        return event(
            "app-recovered", at_ms=row.heard_at_ms, message=message, unique=unique, cluster=row.cluster, app=row.app
        )
    return None


def verdict_event(before: str | None, row: VerdictRow, reason: str, code: str, actor: str = "") -> EventRow | None:
    """A revision that is held, and one that was held and now goes out. `before` is the last verdict on it.

    `actor`: who asked for the decision, where somebody did.
    """
    if before == row.verdict:
        return None
    if row.verdict == AppVerdict.HELD.value:
        return event(
            "revision-held", at_ms=row.decided_at_ms, message=reason or f"{row.app} is held",
            unique=row.revision, app=row.app, revision=row.revision, code=code,
        )  # fmt: skip
    if before == AppVerdict.HELD.value and row.verdict in (AppVerdict.ASSIGNED.value, AppVerdict.REMOVED.value):
        return event(
            "revision-released", at_ms=row.decided_at_ms,
            message=f"{row.app}: the held revision goes out" + (f", approved by {clean(actor, 100)}" if actor else ""),
            unique=row.revision, app=row.app, revision=row.revision,
        )  # fmt: skip
    return None


def dropped_event(app: str, held: str, row: VerdictRow) -> EventRow | None:
    """A held revision in whose place something newer was decided: it is never sent."""
    if not held or held == row.revision:
        return None
    message = f"{app}: the held revision is no longer wanted; nothing of it was sent"
    return event("revision-dropped", at_ms=row.decided_at_ms, message=message, unique=held, app=app, revision=held)


def notice_events(decided: RolloutDecided) -> tuple[EventRow, ...]:
    """What rollout found worth telling beside its verdicts: guards loosened, a cluster's key changed."""
    return tuple(
        event(
            "notice", at_ms=decided.decided_at_ms, message=clean(n.message, 500), code=clean(n.code, 16),
            unique=f"{decided.epoch}/{decided.number}/{index}",
        )
        for index, n in enumerate(decided.notices[:_NOTICES])
    )  # fmt: skip


def refused_event(letter: DeadLetter) -> EventRow:
    """A message that was refused, told once an hour for each cluster and number. All of a letter is foreign."""
    cluster = report_place(letter)[0]
    failure = letter.failure or Failure()
    who = f"{cluster}: " if cluster else f"{clean(letter.subject, 100)}: "
    return event(
        "report-refused" if letter.stream == "REPORTS" else "message-refused", at_ms=letter.at_ms,
        message=who + clean(failure.message, 400), code=clean(failure.code, 16), cluster=cluster,
        unique=f"{cluster or letter.service}/{letter.at_ms // _HOUR_MS}",
    )  # fmt: skip


def report_place(letter: DeadLetter) -> tuple[str, str]:
    """The cluster whose report it was and the app in its subject; empty where there is none."""
    parts = letter.subject.split(".")
    if letter.stream != "REPORTS" or len(parts) < 3 or not is_dns_label(parts[1]):
        return "", ""
    return parts[1], clean(parts[3], 250) if parts[2] == "app" and len(parts) == 4 else ""


def stranger_of(letter: DeadLetter) -> StrangerRow | None:
    """Whose subject a refused report came on; with KNR7017 or KNR7018 it is one of many that nobody has looked at."""
    cluster, app = report_place(letter)
    if not cluster:
        return None
    if letter.failure is not None and letter.failure.code in _MANY:
        return StrangerRow(cluster=cluster, app="", sequence=ALL)
    return StrangerRow(cluster=cluster, app=app, sequence=letter.sequence) if app else None


def unknown_apps_event(cluster: str, apps: int, now_ms: int) -> EventRow:
    """A cluster reports apps that nobody knows; told once an hour."""
    message = f"{cluster} reports {apps:,} apps that neither Git nor rollout knows; their reports are dropped"
    return event(
        "apps-unknown", at_ms=now_ms, message=message, code="KNR5051", cluster=cluster, unique=f"{now_ms // _HOUR_MS}"
    )


def too_many_events(cluster: str, now_ms: int) -> EventRow:
    """Its further transitions are shown, and not told; said once an hour."""
    message = f"{cluster} has had its share of events; how its apps stand is shown, and not told any more for a while"
    return event(
        "events-untold", at_ms=now_ms, message=message, code="KNR5053", cluster=cluster, unique=f"{now_ms // _HOUR_MS}"
    )


def message_of(row: EventRow) -> EventRecorded:
    """As it goes on the EVENTS stream."""
    return EventRecorded(
        event_id=row.event_id,
        kind=row.kind,
        cluster=row.cluster,
        app=row.app,
        message=row.message,
        code=row.code,
        at_ms=row.at_ms,
        revision=row.revision,
    )
