"""The pool, and what the database's errors mean."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from knarr.pipeline.errors import Retryable, rejected, retryable
from knarr.status.adapters.postgres.migrate import migrate

R = TypeVar("R")
_STATEMENT_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_START_SECONDS = 10.0


class Database:
    """Connections to the read model. Every use has a deadline and translates asyncpg's errors."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection outside a transaction: for reads."""
        async with translated():
            async with self._pool.acquire(timeout=10.0) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection in a transaction that commits at the end."""
        async with self.connection() as connection, connection.transaction():
            yield connection


@asynccontextmanager
async def open_database(dsn: str, connections: int = 8) -> AsyncIterator[Database]:
    """Connects, migrates, yields. KNR5003 when there is no database, KNR5004 when it is of another version."""
    async with translated():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=0,
            max_size=connections,
            timeout=10.0,
            command_timeout=_STATEMENT_SECONDS,
            init=_prepare,
            server_settings={"application_name": "knarr-status", "jit": "off"},
        )
    try:
        database = Database(pool)
        await _migrated(database)
        yield database
    finally:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await pool.close()
        except (TimeoutError, asyncpg.PostgresError, OSError):
            pool.terminate()


async def _migrated(database: Database) -> None:
    """Migrates; waits a while for a database that is just starting, as after a crash of both."""
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while True:
        try:
            async with database.connection() as connection:
                await migrate(connection)
        except Retryable:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(random.uniform(0.2, 0.6))  # noqa: S311
        else:
            return


async def _prepare(connection: asyncpg.Connection) -> None:
    """jsonb is written as the text that it is given, and read as Python values."""
    await connection.set_type_codec("jsonb", encoder=str, decoder=json.loads, schema="pg_catalog")


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """asyncpg's errors as numbered ones: bad data is refused, everything else may pass."""
    try:
        yield
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError) as error:
        raise rejected("KNR5005", f"the database refuses the value: {type(error).__name__}") from error
    except asyncpg.exceptions.UndefinedTableError as error:
        raise rejected("KNR5004", "the read model's tables are missing") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        raise retryable("KNR5003", f"the database does not answer: {type(error).__name__}") from error


def columns(rows: Iterable[R], *readers: Callable[[R], Any]) -> list[list[Any]]:
    """Rows turned into one list per column, as `unnest` wants them."""
    held = list(rows)
    return [[read(row) for row in held] for read in readers]
