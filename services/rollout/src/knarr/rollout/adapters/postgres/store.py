"""The `Store` port on asyncpg. One connection, which also holds the lead (a session advisory lock)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NoReturn

import asyncpg

from knarr.pipeline.codec import decode
from knarr.pipeline.decision import CommandHandled
from knarr.pipeline.errors import retryable
from knarr.pipeline.revision import RevisionRendered
from knarr.rollout.adapters.postgres import statements as sql
from knarr.rollout.adapters.postgres.migrate import migrate
from knarr.rollout.adapters.postgres.reading import read_state, read_unpublished
from knarr.rollout.adapters.postgres.writing import write
from knarr.rollout.core.changes import Changes
from knarr.rollout.core.state import FleetState
from knarr.rollout.ports import Unpublished

_LEAD = 0x6B6E617272_01
_COMMAND_SECONDS = 30.0


class PostgresStore:
    """Made by `leading_store`."""

    def __init__(self, connection: asyncpg.Connection, term: int) -> None:
        self._connection = connection
        self._term = term
        self._lock = asyncio.Lock()
        self._gone = asyncio.Event()
        connection.add_termination_listener(lambda _connection: self._gone.set())

    async def lost(self) -> NoReturn:
        """Waits until the connection is gone, or another process leads: then raises Retryable KNR3041."""
        if not self._connection.is_closed():
            await self._gone.wait()
        raise retryable("KNR3041", "the connection to the database was lost, and with it the lead")

    async def load(self) -> FleetState:
        """Everything, as the last transaction left it."""
        async with self._using() as c, c.transaction(isolation="repeatable_read", readonly=True):
            return await read_state(c)

    async def commit(self, changes: Changes) -> None:
        """All of it or nothing."""
        async with self._writing() as c:
            await write(c, changes)

    async def unpublished(self) -> Unpublished:
        """What was committed and not yet marked as published."""
        async with self._using() as c:
            return await read_unpublished(c)

    async def mark_published(self, published: Unpublished) -> None:
        """They have been stored by the broker."""
        async with self._writing() as c:
            await c.execute(sql.SENT, [o.cluster for o in published.outgoing])
            await c.execute(sql.DECIDED, [d.number for d in published.decisions])
            if published.answers:
                await c.execute(sql.ANSWERED, [a.command_id for a in published.answers])
                await c.execute(sql.FORGET_ANSWERS)

    async def revision(self, revision: str) -> RevisionRendered | None:
        """A revision ever seen, by its id."""
        async with self._using() as c:
            body = await c.fetchval("SELECT body FROM revisions WHERE revision = $1", revision)
        return decode(RevisionRendered, body) if body is not None else None

    async def answer(self, command_id: str) -> CommandHandled | None:
        """What a command was answered, if it was."""
        async with self._using() as c:
            body = await c.fetchval("SELECT body FROM answers WHERE command_id = $1", command_id)
        return decode(CommandHandled, body) if body is not None else None

    async def check_lead(self) -> None:
        """Nothing while this process leads; KNR3042 when another one does."""
        async with self._writing():
            pass

    @contextlib.asynccontextmanager
    async def _writing(self) -> AsyncIterator[asyncpg.Connection]:
        """A transaction of the present leader. KNR3042, and the lead is lost, when another one has begun its term."""
        async with self._using() as c, c.transaction():
            if await c.fetchval(sql.TERM) != self._term:
                self._gone.set()
                raise retryable("KNR3042", "another process leads since: nothing was written")
            yield c

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
        yield PostgresStore(connection, await connection.fetchval(sql.NEW_TERM))
    finally:
        with contextlib.suppress(OSError, TimeoutError, asyncpg.InterfaceError):
            await connection.close(timeout=5)


async def _take_lead(connection: asyncpg.Connection, wait_seconds: float) -> None:
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LEAD, timeout=wait_seconds)
    except TimeoutError as error:
        raise retryable("KNR3040", f"another process has led for {wait_seconds:g} s") from error
