"""The `Store` port on asyncpg. One connection, which also holds the lead (a session advisory lock)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NoReturn

import asyncpg

from knarr.pipeline.codec import decode, encode
from knarr.pipeline.decision import RolloutDecided
from knarr.pipeline.errors import retryable
from knarr.pipeline.revision import BundleRef, Index, RevisionRendered
from knarr.rollout.adapters.postgres import statements as sql
from knarr.rollout.adapters.postgres.migrate import migrate
from knarr.rollout.core.state import FleetState, IndexView, Member, Placement, Removal, Target
from knarr.rollout.ports import Changes, OutgoingAssignment

_LEAD = 0x6B6E617272_01
_DIGEST_BYTES = 32
_COMMAND_SECONDS = 30.0


class PostgresStore:
    """Made by `leading_store`."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()

    async def lost(self) -> NoReturn:
        """Waits until the connection is gone, and with it the lead: then raises Retryable KNR3041."""
        gone = asyncio.Event()
        self._connection.add_termination_listener(lambda _connection: gone.set())
        if not self._connection.is_closed():
            await gone.wait()
        raise retryable("KNR3041", "the connection to the database was lost, and with it the lead")

    async def load(self) -> FleetState:
        """Everything, as the last transaction left it."""
        async with self._using() as c:
            revisions = {
                r["revision"]: decode(RevisionRendered, r["body"])
                for r in await c.fetch(
                    "SELECT r.revision, r.body FROM revisions r"
                    " WHERE r.revision IN (SELECT revision FROM targets UNION SELECT released FROM targets)"
                )
            }
            state = FleetState(
                members={r["name"]: _member(r) for r in await c.fetch("SELECT * FROM members")},
                targets={r["app"]: _target(r, revisions) for r in await c.fetch("SELECT * FROM targets")},
                approvals={r["revision"] for r in await c.fetch("SELECT DISTINCT revision FROM approvals")},
                progress={
                    r["source"]: (r["commit_number"], r["facts_number"])
                    for r in await c.fetch("SELECT * FROM progress")
                },
                failing={r["app"]: frozenset(r["clusters"]) for r in await c.fetch("SELECT * FROM failing")},
                indexes={
                    r["digest"]: IndexView.of(decode(Index, r["body"])) for r in await c.fetch("SELECT * FROM indexes")
                },
            )
            for row in await c.fetch("SELECT * FROM placements"):
                state.placements.setdefault(row["app"], {})[row["cluster"]] = _placement(row)
            for row in await c.fetch("SELECT * FROM removals"):
                state.removals.setdefault(row["app"], {})[row["cluster"]] = _removal(row)
        return state

    async def commit(self, changes: Changes) -> None:
        """All of it or nothing."""
        async with self._using() as c, c.transaction():
            await _write_members(c, changes)
            await _write_targets(c, changes)
            await _write_placements(c, changes)
            await _write_removals(c, changes)
            if changes.failing is not None:
                await c.execute(sql.CLEAR_FAILING)
                await c.executemany(sql.FAILING, [(a, sorted(cs)) for a, cs in changes.failing.items()])
            if changes.progress:
                rows = sorted(changes.progress.items())
                await c.execute(sql.PROGRESS, [n for n, _ in rows], [p[0] for _, p in rows], [p[1] for _, p in rows])
            await c.executemany(sql.APPROVAL, [(a.revision, a.actor, a.reason) for a in changes.approvals])
            if changes.outgoing:
                await c.execute(
                    sql.OUTGOING,
                    [o.cluster for o in changes.outgoing],
                    [o.traceparent for o in changes.outgoing],
                    [o.spread_seconds for o in changes.outgoing],
                )
            if changes.decision is not None:
                await c.execute(sql.DECISION, encode(changes.decision))

    async def unpublished(self) -> tuple[list[OutgoingAssignment], list[RolloutDecided]]:
        """What was committed and not yet marked as published."""
        async with self._using() as c:
            outgoing = await c.fetch("SELECT * FROM outgoing ORDER BY cluster")
            decisions = await c.fetch("SELECT number, body FROM decisions WHERE NOT published ORDER BY number")
        return (
            [
                OutgoingAssignment(
                    cluster=r["cluster"], traceparent=r["traceparent"], spread_seconds=r["spread_seconds"]
                )
                for r in outgoing
            ],
            [replace(decode(RolloutDecided, r["body"]), number=r["number"]) for r in decisions],
        )

    async def mark_published(self, clusters: list[str], decisions: list[int]) -> None:
        """They have been stored by the broker."""
        async with self._using() as c, c.transaction():
            await c.execute(sql.SENT, clusters)
            await c.execute(sql.DECIDED, decisions)

    async def revision(self, revision: str) -> RevisionRendered | None:
        """A revision ever seen, by its id."""
        async with self._using() as c:
            body = await c.fetchval("SELECT body FROM revisions WHERE revision = $1", revision)
        return decode(RevisionRendered, body) if body is not None else None

    @contextlib.asynccontextmanager
    async def _using(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._lock:
            try:
                yield self._connection
            except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                raise retryable("KNR3041", f"the database does not answer: {type(error).__name__}") from error


@contextlib.asynccontextmanager
async def leading_store(dsn: str, *, lead_wait_seconds: float = 3600.0) -> AsyncIterator[PostgresStore]:
    """Connects, migrates, and waits for the lead. KNR3041 without a database, KNR3040 when another process keeps it."""
    try:
        connection = await asyncpg.connect(
            dsn, server_settings={"search_path": "rollout"}, command_timeout=_COMMAND_SECONDS, timeout=10
        )
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise retryable("KNR3041", f"cannot connect to the database: {type(error).__name__}") from error
    try:
        await migrate(connection)
        await _take_lead(connection, lead_wait_seconds)
        yield PostgresStore(connection)
    finally:
        with contextlib.suppress(OSError, TimeoutError, asyncpg.InterfaceError):
            await connection.close(timeout=5)


async def _take_lead(connection: asyncpg.Connection, wait_seconds: float) -> None:
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LEAD, timeout=wait_seconds)
    except TimeoutError as error:
        raise retryable("KNR3040", f"another process has led for {wait_seconds:g} s") from error


async def _write_members(c: asyncpg.Connection, changes: Changes) -> None:
    rows = list(changes.members.values())
    if rows:
        await c.execute(
            sql.MEMBERS,
            [m.name for m in rows],
            [m.in_fleet for m in rows],
            [m.uid for m in rows],
            [m.sealing_key for m in rows],
            [m.generation for m in rows],
            [json.dumps(dict(m.labels)) for m in rows],
        )


async def _write_targets(c: asyncpg.Connection, changes: Changes) -> None:
    named = [t.revision for t in changes.targets.values() if t is not None]
    revisions = {r.revision: r for r in (*changes.revisions, *named)}.values()
    if revisions:
        await c.execute(
            sql.REVISIONS, [r.revision for r in revisions], [r.app for r in revisions], [encode(r) for r in revisions]
        )
    if changes.indexes:
        await c.execute(sql.INDEXES, [i.digest for i in changes.indexes], [encode(i) for i in changes.indexes])
    kept = [(app, t) for app, t in changes.targets.items() if t is not None]
    if kept:
        await c.execute(
            sql.TARGETS,
            [app for app, _ in kept],
            [t.source for _, t in kept],
            [t.revision.revision for _, t in kept],
            [t.released.revision if t.released else None for _, t in kept],
            [t.gone for _, t in kept],
            [t.held for _, t in kept],
        )
    dropped = [app for app, t in changes.targets.items() if t is None]
    if dropped:
        await c.execute(sql.DROP_TARGETS, dropped)


async def _write_placements(c: asyncpg.Connection, changes: Changes) -> None:
    kept = [(key, p) for key, p in changes.placements.items() if p is not None]
    if kept:
        refs = {p.ref.digest: encode(p.ref) for _, p in kept}
        await c.execute(
            sql.PLACEMENTS,
            [app for (app, _), _ in kept],
            [cluster for (_, cluster), _ in kept],
            [refs[p.ref.digest] for _, p in kept],
            [p.revision for _, p in kept],
            [b"".join(p.baseline) for _, p in kept],
            [p.defer_prune for _, p in kept],
            [p.approved for _, p in kept],
        )
    dropped = [key for key, p in changes.placements.items() if p is None]
    if dropped:
        await c.execute(sql.DROP_PLACEMENTS, [a for a, _ in dropped], [cl for _, cl in dropped])


async def _write_removals(c: asyncpg.Connection, changes: Changes) -> None:
    kept = [(key, r) for key, r in changes.removals.items() if r is not None]
    if kept:
        await c.execute(
            sql.REMOVALS,
            [app for (app, _), _ in kept],
            [cluster for (_, cluster), _ in kept],
            [r.since_generation for _, r in kept],
            [r.revision for _, r in kept],
            [b"".join(r.baseline) for _, r in kept],
        )
    dropped = [key for key, r in changes.removals.items() if r is None]
    if dropped:
        await c.execute(sql.DROP_REMOVALS, [a for a, _ in dropped], [cl for _, cl in dropped])


def _member(row: asyncpg.Record) -> Member:
    return Member(
        name=row["name"],
        in_fleet=row["in_fleet"],
        uid=row["uid"],
        sealing_key=row["sealing_key"],
        generation=row["generation"],
        labels=json.loads(row["labels"]),
    )


def _target(row: asyncpg.Record, revisions: dict[str, RevisionRendered]) -> Target:
    return Target(
        source=row["source"],
        revision=revisions[row["revision"]],
        released=revisions[row["released"]] if row["released"] else None,
        gone=row["gone"],
        held=row["held"],
    )


def _placement(row: asyncpg.Record) -> Placement:
    return Placement(
        ref=decode(BundleRef, row["ref"]),
        revision=row["revision"],
        baseline=_digests(row["baseline"]),
        defer_prune=row["defer_prune"],
        approved=row["approved"],
    )


def _removal(row: asyncpg.Record) -> Removal:
    return Removal(
        since_generation=row["since_generation"], revision=row["revision"], baseline=_digests(row["baseline"])
    )


def _digests(packed: bytes) -> tuple[bytes, ...]:
    return tuple(packed[i : i + _DIGEST_BYTES] for i in range(0, len(packed), _DIGEST_BYTES))
