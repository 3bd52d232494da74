"""Reads (ReadModel), and hears what changed (ChangeFeed)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg
import structlog

from knarr.pipeline.errors import Retryable
from knarr.service.waiting import end_if_cancelled
from knarr.status.adapters.postgres.database import Database, translated
from knarr.status.adapters.postgres.statements import statement
from knarr.status.ports import Changes

LOG = structlog.get_logger("knarr.status.postgres")
_CHANNEL = "knarr_status"
_WAITING = 1_000
_EVERYTHING = Changes(
    topics=frozenset({"clusters", "commits", "apps", "revisions", "sources", "events", "decisions"}), clusters=None
)


class PostgresReadModel:
    """ReadModel over one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, query: str, *parameters: Any) -> Sequence[Mapping[str, Any]]:
        """All rows of the named query."""
        async with self._database.connection() as connection:
            return [dict(r) for r in await connection.fetch(statement(query), *parameters)]


class PostgresChanges:
    """ChangeFeed by LISTEN on a connection of its own: one coalesced notification per recorded batch.

    After a lost connection, and when more notifications wait than the queue holds, it says that anything may have
    changed.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def changes(self) -> AsyncIterator[Changes]:
        """Until cancelled."""
        while True:
            end_if_cancelled()
            try:
                async for change in self._listen():
                    yield change
            except Retryable as error:
                LOG.warning("listening interrupted", code=error.code, error=error.message)
            await asyncio.sleep(random.uniform(0.3, 2.0))  # noqa: S311

    async def _listen(self) -> AsyncIterator[Changes]:
        queue: asyncio.Queue[Changes | None] = asyncio.Queue(_WAITING)
        async with translated():
            connection = await asyncpg.connect(self._dsn, timeout=10.0, command_timeout=10.0)
        try:
            connection.add_termination_listener(lambda _c: _put(queue, None))
            async with translated():
                await connection.add_listener(_CHANNEL, lambda _c, _p, _n, text: _put(queue, _changes(text)))
            yield _EVERYTHING
            while (change := await queue.get()) is not None:
                yield change
        finally:
            connection.terminate()


def _put(queue: asyncio.Queue[Changes | None], change: Changes | None) -> None:
    with contextlib.suppress(asyncio.QueueFull):
        queue.put_nowait(change)
        return
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(_EVERYTHING if change is not None else None)


def _changes(text: object) -> Changes:
    try:
        said = json.loads(str(text))
        clusters = said["clusters"]
        return Changes(
            topics=frozenset(said["topics"]), clusters=None if clusters is None else frozenset(map(str, clusters))
        )
    except (ValueError, KeyError, TypeError):
        return _EVERYTHING
