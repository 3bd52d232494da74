"""Places for runs, shared out per source (core/fair.py). Used by the sandbox; one event loop."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from knarr.renderer.core.fair import Places, next_in_turn


class Room:
    """`async with room.place(source)`. Waits for as long as it takes: the runs before it have deadlines."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._held: Counter[str] = Counter()
        self._served: dict[str, int] = {}
        self._numbers = itertools.count(1)
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def place(self, source: str) -> AsyncIterator[int]:
        """A place for one run of `source`; gives how many it has, this one included."""
        await self._enter(source)
        try:
            yield self._held[source]
        finally:
            self._leave(source)

    async def _enter(self, source: str) -> None:
        entry = (source, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._admit()
        try:
            await entry[1]
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                self._leave(source)  # it was let in, in the same instant
            raise

    def _leave(self, source: str) -> None:
        self._held[source] -= 1
        if not self._held[source]:
            del self._held[source]
        self._admit()

    def _admit(self) -> None:
        while (index := self._next()) is not None:
            source, admitted = self._waiting.pop(index)
            self._held[source] += 1
            self._served[source] = next(self._numbers)
            admitted.set_result(None)

    def _next(self) -> int | None:
        return next_in_turn([source for source, _ in self._waiting], self._held, self._served, self._places)
