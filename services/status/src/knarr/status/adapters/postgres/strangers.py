"""Reports on apps that neither Git nor rollout knows (StrangerStore), and what was refused (LetterStore)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

import asyncpg

from knarr.status.adapters.postgres.database import Database, columns
from knarr.status.adapters.postgres.statements import statement
from knarr.status.adapters.postgres.telling import append_events, notify
from knarr.status.core.rows import ALL, EventRow, StrangerRow
from knarr.status.ports import Overdue

# Of one cluster: more than any has apps. What is beyond is still found in the stream.
MOST = 5_000


class PostgresStrangers:
    """StrangerStore and LetterStore over one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known_strangers(self, limit: int) -> Sequence[tuple[str, str]]:
        """Cluster and app of reports whose app is known by now."""
        async with self._database.connection() as connection:
            return [(r["cluster"], r["app"]) for r in await connection.fetch(statement("strangers_known"), limit)]

    async def forget(self, cluster: str, app: str) -> None:
        """It is none any more."""
        async with self._database.transaction() as connection:
            await connection.execute(statement("forget_stranger"), cluster, app)

    async def overdue(self, before_ms: int, limit: int) -> Sequence[Overdue]:
        """Clusters with reports on apps unknown since before then, or with too many of them."""
        async with self._database.connection() as connection:
            found = await connection.fetch(statement("strangers_overdue"), before_ms, MOST, limit)
        return [Overdue(cluster=r["cluster"], sequence=r["sequence"], more=r["more"]) for r in found]

    async def known_apps(self, names: Iterable[str]) -> frozenset[str]:
        """Those of the names that Git or rollout knows."""
        async with self._database.connection() as connection:
            return await known_apps(connection, names)

    async def sent_away(self, overdue: Overdue, told: EventRow | None) -> None:
        """Their subjects are purged. `told`: None when there were none any more."""
        async with self._database.transaction() as connection:
            await connection.execute(statement("forget_strangers"), overdue.cluster, overdue.sequence)
            if told is not None:
                await append_events(connection, [told])
                await notify(connection, set(), [], [told])

    async def record_letters(self, events: Sequence[EventRow], strangers: Sequence[StrangerRow], now_ms: int) -> None:
        """What was refused is told; and whose subject it was, if nobody knows the app."""
        async with self._database.transaction() as connection:
            known = await known_apps(connection, {row.app for row in strangers})
            await remember(connection, [row for row in strangers if row.app not in known], now_ms)
            await append_events(connection, events)
            await notify(connection, set(), [], events)


async def known_apps(connection: asyncpg.Connection, names: Iterable[str]) -> frozenset[str]:
    """Those of the names that Git or rollout knows."""
    found = await connection.fetch(statement("known_apps"), sorted(set(names)))
    return frozenset(r["app"] for r in found)


async def remember(connection: asyncpg.Connection, rows: Iterable[StrangerRow], now_ms: int) -> None:
    """Keeps which they are, a bounded number for a cluster."""
    newest: dict[tuple[str, str], StrangerRow] = {}
    for row in rows:
        held = newest.get((row.cluster, row.app))
        if held is None or held.sequence < row.sequence:
            newest[row.cluster, row.app] = row
    if newest:
        values = columns([newest[k] for k in sorted(newest)], *map(attrgetter, ("cluster", "app", "sequence")))
        await connection.execute(statement("remember_strangers"), *values, now_ms, MOST)
        clusters = sorted({row.cluster for row in newest.values()})
        await connection.execute(statement("mark_strangers"), clusters, ALL, now_ms, MOST)
