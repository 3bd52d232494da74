"""What changed → every open page: coalesced to four times a second, computed once however many pages listen.

A page that is too slow loses its queue and is told to read everything again; so is one that comes back with an id
that is no longer remembered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from knarr.pipeline.errors import KnarrError
from knarr.service.waiting import all_of, end_if_cancelled
from knarr.status import metrics
from knarr.status.answer import Answers
from knarr.status.core.standing import Standing
from knarr.status.ports import ChangeFeed, Changes
from knarr.status.record import now_ms

LOG = structlog.get_logger("knarr.status.broadcast")
_BEAT_SECONDS = 0.25
_REMEMBERED = 240
_QUEUE = 64
_CELLS = 2_000
RESET = "reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One server-sent event."""

    event_id: str
    kind: str
    data: str


class Broadcast:
    """`deaf_seconds`: how long the broker has not been read."""

    def __init__(self, answers: Answers, feed: ChangeFeed, deaf_seconds: Callable[[], float], most: int = 500) -> None:
        self._answers = answers
        self._feed = feed
        self._deaf_seconds = deaf_seconds
        self._most = most
        self._boot = secrets.token_hex(4)
        self._number = 0
        self._remembered: deque[Told] = deque(maxlen=_REMEMBERED)
        self._listeners: set[asyncio.Queue[Told]] = set()
        self._topics: set[str] = set()
        self._clusters: set[str] | None = set()
        self._look = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether another listener would be too many."""
        return len(self._listeners) >= self._most

    def beat(self) -> Told:
        """A sign of life, without an id: it is not remembered."""
        data = {"at_ms": now_ms(), "reports_unread_seconds": round(self._deaf_seconds(), 1)}
        return Told(event_id="", kind="beat", data=json.dumps(data))

    async def run(self) -> None:
        """Until cancelled."""
        await all_of((self._gather(), self._tell()))

    @contextlib.asynccontextmanager
    async def listening(self, last_id: str) -> AsyncIterator[asyncio.Queue[Told]]:
        """A queue of what is told from now on, after what was told since `last_id`."""
        queue: asyncio.Queue[Told] = asyncio.Queue(_QUEUE)
        for told in self._since(last_id):
            queue.put_nowait(told)
        self._listeners.add(queue)
        metrics.STREAM_CLIENTS.set(len(self._listeners))
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
            metrics.STREAM_CLIENTS.set(len(self._listeners))

    def _since(self, last_id: str) -> list[Told]:
        ids = [t.event_id for t in self._remembered]
        current = f"{self._boot}-{self._number}"
        if last_id == current:
            return []
        if last_id in ids and len(ids) - ids.index(last_id) < _QUEUE:
            return list(self._remembered)[ids.index(last_id) + 1 :]
        return [Told(event_id=current, kind=RESET, data="{}")]

    async def _gather(self) -> None:
        async for change in self._feed.changes():
            self._add(change)

    def _add(self, change: Changes) -> None:
        self._topics |= change.topics
        if change.clusters is None:
            self._clusters = None
        elif self._clusters is not None:
            self._clusters |= change.clusters
            if len(self._clusters) > _CELLS:
                self._clusters = None
        self._look.set()

    async def _tell(self) -> None:
        beat = _BEAT_SECONDS
        while True:
            end_if_cancelled()
            await self._look.wait()
            started = time.monotonic()
            try:
                await self._tell_once()
                cost = time.monotonic() - started
                # A summary that is dear to compute is computed less often.
                beat = max(_BEAT_SECONDS, 4 * cost)
            except KnarrError as error:
                LOG.warning("telling the pages interrupted", code=error.code, error=error.message)
                self._look.set()
            await asyncio.sleep(beat)

    async def _tell_once(self) -> None:
        self._look.clear()
        topics, clusters = self._topics, self._clusters
        self._topics, self._clusters = set(), set()
        try:
            data = await self._data(topics, clusters)
        except KnarrError:
            self._topics |= topics
            self._clusters = None
            raise
        self._number += 1
        told = Told(
            event_id=f"{self._boot}-{self._number}", kind="change", data=json.dumps(data, separators=(",", ":"))
        )
        self._remembered.append(told)
        for queue in self._listeners:
            _offer(queue, told)

    async def _data(self, topics: set[str], clusters: set[str] | None) -> dict[str, Any]:
        summary = await self._answers.summary({})
        _measure(summary)
        cells: list[list[str]] | None = []
        if clusters is None:
            cells = None
        elif clusters and self._listeners:
            rows = await self._answers.cells({}, sorted(clusters))
            cells = [[r["name"], r["stage"], Standing(r["standing"]).letter] for r in rows]
        return {
            "topics": sorted(topics),
            "cells": cells,
            "summary": {**summary, "reports_unread_seconds": round(self._deaf_seconds(), 1)},
        }


def _offer(queue: asyncio.Queue[Told], told: Told) -> None:
    if not queue.full():
        queue.put_nowait(told)
        return
    metrics.STREAM_DROPPED.inc()
    while not queue.empty():
        queue.get_nowait()
    queue.put_nowait(Told(event_id=told.event_id, kind=RESET, data="{}"))


def _measure(summary: dict[str, Any]) -> None:
    for name, count in summary["clusters"]["standings"].items():
        metrics.STANDINGS.labels(name).set(count)
    metrics.HELD.set(summary["held"])
    metrics.SOURCES_UNREACHABLE.set(summary["sources_unreachable"])
