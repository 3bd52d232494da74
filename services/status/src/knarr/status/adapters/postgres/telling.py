"""Inside a transaction: what is to be told of it, and that something changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from operator import attrgetter

import asyncpg

from knarr.status.adapters.postgres.database import columns
from knarr.status.adapters.postgres.statements import statement
from knarr.status.core.rows import EventRow

_NOTIFY_BYTES = 7_000


async def append_events(connection: asyncpg.Connection, events: Sequence[EventRow]) -> None:
    """Adds events to the history and so to the outbox."""
    if not events:
        return
    names = ("event_id", "kind", "cluster", "app", "message", "code", "revision", "at_ms")
    await connection.execute(statement("append_events"), *columns(events, *map(attrgetter, names)))


async def notify(
    connection: asyncpg.Connection, topics: set[str], clusters: Sequence[str] | None, events: Sequence[EventRow] = ()
) -> None:
    """One notification per transaction: what to look at. Names that do not fit become "any of them"."""
    said = {"topics": sorted(topics | ({"events"} if events else set())), "clusters": clusters}
    text = json.dumps(said, separators=(",", ":"))
    if len(text) > _NOTIFY_BYTES:
        text = json.dumps({**said, "clusters": None}, separators=(",", ":"))
    await connection.execute(statement("notify"), text)
