"""Which transitions are worth telling: message → EventRow. Pure; called by record.py."""

from __future__ import annotations

import hashlib

from knarr.pipeline.decision import AppVerdict, EventRecorded
from knarr.status.core.rows import EventRow, PlacementRow, VerdictRow
from knarr.status.core.standing import Standing

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


def verdict_event(before: str | None, row: VerdictRow, reason: str, code: str) -> EventRow | None:
    """A revision that is held, and one that was held and now goes out. `before` is the last verdict on it."""
    if before == row.verdict:
        return None
    if row.verdict == AppVerdict.HELD.value:
        return event(
            "revision-held", at_ms=row.decided_at_ms, message=reason or f"{row.app} is held",
            unique=row.revision, app=row.app, revision=row.revision, code=code,
        )  # fmt: skip
    if before == AppVerdict.HELD.value and row.verdict in (AppVerdict.ASSIGNED.value, AppVerdict.REMOVED.value):
        return event(
            "revision-released", at_ms=row.decided_at_ms, message=f"{row.app}: the held revision goes out",
            unique=row.revision, app=row.app, revision=row.revision,
        )  # fmt: skip
    return None


def dropped_event(app: str, held: str, row: VerdictRow) -> EventRow | None:
    """A held revision in whose place something newer was decided: it is never sent."""
    if not held or held == row.revision:
        return None
    message = f"{app}: the held revision is no longer wanted; nothing of it was sent"
    return event("revision-dropped", at_ms=row.decided_at_ms, message=message, unique=held, app=app, revision=held)


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
