"""Writes reports and life signs (ReportStore)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

import asyncpg

from knarr.status.adapters.postgres.database import Database, columns
from knarr.status.adapters.postgres.statements import statement
from knarr.status.adapters.postgres.strangers import known_apps, remember
from knarr.status.adapters.postgres.telling import append_events, notify
from knarr.status.core.events import event, placement_event, too_many_events
from knarr.status.core.freshness import age
from knarr.status.core.position import Position
from knarr.status.core.rows import EventRow, PlacementRow, StrangerRow
from knarr.status.core.standing import Standing
from knarr.status.metrics import UNKNOWN, UNTOLD
from knarr.status.ports import PendingPurge, ReportRows

# Of one cluster in ten minutes: more than a whole cluster's apps that go bad and come back at once.
SHARE = 2_000
_SHARE_MS = 600_000
_position = attrgetter("position.stream_created", "position.sequence")


class PostgresReports:
    """ReportStore over one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_reports(self, rows: ReportRows) -> None:
        """One transaction; one notification."""
        async with self._database.transaction() as connection:
            await connection.execute("set local synchronous_commit = on")
            events = await self._hear(connection, rows)
            if rows.clusters:
                await connection.execute(statement("upsert_clusters"), *_cluster_columns(rows), rows.silent_before_ms)
            if (known := await self._known(connection, rows)).placements:
                events += await self._place(connection, known)
            if rows.clusters:
                await connection.execute(statement("record_facts"), [c.name for c in rows.clusters])
            events = await self._within_share(connection, events, rows.now_ms)
            await append_events(connection, events)
            await notify(connection, {"clusters"}, list(rows.heard), events)

    async def silence(self, silent_before_ms: int, now_ms: int) -> int:
        """Marks clusters that were not heard since; how many are newly silent."""
        async with self._database.transaction() as connection:
            found = await connection.fetch(statement("silence_clusters"), silent_before_ms)
            events = [
                event(
                    "cluster-silent", at_ms=now_ms, cluster=r["name"], unique=str(r["heard_at_ms"]), code="KNR5010",
                    message=f"{r['name']} has not been heard for {age(now_ms - (r['heard_at_ms'] or now_ms))}",
                )
                for r in found
            ]  # fmt: skip
            await append_events(connection, events)
            if found:
                await notify(connection, {"clusters"}, [r["name"] for r in found], events)
        return len(found)

    async def pending_purges(self, limit: int) -> Sequence[PendingPurge]:
        """The oldest first."""
        async with self._database.connection() as connection:
            found = await connection.fetch("select * from status.purge order by recorded_at_ms limit $1", limit)
        return [
            PendingPurge(
                cluster=r["cluster"],
                app=r["app"],
                position=Position(stream_created=r["stream_created"], sequence=r["sequence"]),
            )
            for r in found
        ]

    async def purged(self, purge: PendingPurge) -> None:
        """Forgets one, unless a newer removal took its place."""
        async with self._database.transaction() as connection:
            await connection.execute(
                "delete from status.purge where cluster = $1 and app = $2 and stream_created = $3 and sequence = $4",
                purge.cluster, purge.app, purge.position.stream_created, purge.position.sequence,
            )  # fmt: skip

    async def forget_before(self, before_ms: int) -> int:
        """Drops history older than that; how many rows. What is current stays whatever its age."""
        total = 0
        async with self._database.transaction() as connection:
            for name in ("forget_transitions", "forget_deliveries", "forget_events", "forget_commits"):
                total += int((await connection.execute(statement(name), before_ms)).rpartition(" ")[2])
        return total

    async def _hear(self, connection: asyncpg.Connection, rows: ReportRows) -> list[EventRow]:
        names = sorted(rows.heard)
        back = await connection.fetch(
            statement("hear_clusters"), names, [rows.heard[n] for n in names], rows.silent_before_ms
        )
        return [
            event(
                "cluster-back", at_ms=r["heard_at_ms"], cluster=r["name"], unique=str(r["heard_at_ms"]),
                message=f"{r['name']} is heard again",
            )
            for r in back
        ]  # fmt: skip

    async def _within_share(
        self, connection: asyncpg.Connection, events: list[EventRow], now_ms: int
    ) -> list[EventRow]:
        """Without those of clusters that have had their share: an app that flaps would push out everybody's."""
        clusters = sorted({e.cluster for e in events})
        if not clusters:
            return events
        found = await connection.fetch(statement("events_lately"), clusters, SHARE, now_ms - _SHARE_MS)
        had = {r["cluster"]: r["events"] for r in found}
        kept = [e for e in events if had[e.cluster] < SHARE]
        silenced = sorted({e.cluster for e in events if had[e.cluster] >= SHARE})
        UNTOLD.inc(len(events) - len(kept))
        return [*kept, *(too_many_events(cluster, now_ms) for cluster in silenced)]

    async def _known(self, connection: asyncpg.Connection, rows: ReportRows) -> ReportRows:
        """Without reports on apps that neither Git nor rollout knows: those are remembered by name alone."""
        if not rows.placements:
            return rows
        known = await known_apps(connection, {p.app for p in rows.placements})
        unknown = [p for p in rows.placements if p.app not in known]
        if not unknown:
            return rows
        UNKNOWN.inc(len(unknown))
        strangers = (StrangerRow(cluster=p.cluster, app=p.app, sequence=p.position.sequence) for p in unknown)
        await remember(connection, strangers, rows.now_ms)
        return replace(
            rows,
            placements=[p for p in rows.placements if p.app in known],
            transitions=[t for t in rows.transitions if t.app in known],
        )

    async def _place(self, connection: asyncpg.Connection, rows: ReportRows) -> list[EventRow]:
        keys = columns(rows.placements, attrgetter("cluster"), attrgetter("app"))
        before = {
            (r["cluster"], r["app"]): r["standing"] for r in await connection.fetch(statement("lock_placements"), *keys)
        }
        written = await connection.fetch(statement("upsert_placements"), *_placement_columns(rows.placements))
        after = {(r["cluster"], r["app"]): Standing(r["standing"]) for r in written}
        news = [p for p in rows.placements if (p.cluster, p.app) in after]
        await connection.execute(
            statement("reach_deliveries"),
            *columns(news, *map(attrgetter, ("cluster", "generation", "app", "digest", "heard_at_ms", "state"))),
        )
        if rows.transitions:
            names = ("cluster", "app", "at_ms", "state", "digest", "generation", "reason")
            history = columns(rows.transitions, *map(attrgetter, names))
            await connection.execute(statement("append_transitions"), *history, rows.now_ms)
        gone = [p for p in news if p.state == "removed"]
        if gone:
            places = columns(gone, attrgetter("cluster"), attrgetter("app"), *_POSITION)
            await connection.execute(statement("remember_purges"), *places, rows.now_ms)
        told = (placement_event(_known(before.get((p.cluster, p.app))), after[p.cluster, p.app], p) for p in news)
        return [e for e in told if e is not None]


_POSITION = (attrgetter("position.stream_created"), attrgetter("position.sequence"))


def _known(standing: int | None) -> Standing | None:
    return None if standing is None else Standing(standing)


def _cluster_columns(rows: ReportRows) -> list[list[object]]:
    return columns(
        rows.clusters,
        attrgetter("name"),
        *_POSITION,
        *map(
            attrgetter,
            ("heard_at_ms", "epoch", "uid", "generation_seen", "generation_applied", "agent_version", "start_number",
             "kubernetes_version", "labels_json"),
        ),
        lambda r: json.dumps(r.capabilities),
        lambda r: json.dumps(r.features),
        *map(attrgetter, ("failures_json", "app_count", "reported_at_ms")),
    )  # fmt: skip


def _placement_columns(rows: Sequence[PlacementRow]) -> list[list[object]]:
    return columns(
        rows,
        attrgetter("cluster"),
        attrgetter("app"),
        *_POSITION,
        *map(
            attrgetter,
            ("heard_at_ms", "state", "digest", "generation", "since_ms", "applied_at_ms", "message", "failures_json",
             "unhealthy_json", "drift_json", "adoptions_json", "counts_json", "object_count"),
        ),
        lambda r: json.dumps(r.held_digests),
        attrgetter("traceparent"),
    )  # fmt: skip
