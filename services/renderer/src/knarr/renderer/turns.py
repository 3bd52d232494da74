"""One rendering at a time per source, sources side by side; of a source's commits that wait only the newest goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from knarr.pipeline.names import SourceName


@dataclass(slots=True)
class _Queue:
    """Who waits behind the one that is at work; `commit` is the newest commit among them."""

    waiting: list[asyncio.Future[bool]] = field(default_factory=list)
    commit: asyncio.Future[bool] | None = None


class Turns:
    """`async with turns.of(source) as goes_on`."""

    def __init__(self) -> None:
        self._queues: dict[SourceName, _Queue] = {}

    @asynccontextmanager
    async def of(self, source: SourceName, *, commit: bool = False) -> AsyncIterator[bool]:
        """The turn of `source`; False at once for a `commit` behind which a newer one has come to wait.

        Its message may be acknowledged then: the newer one is not yet, and whoever is called reads the newest state.
        """
        goes_on = await self._enter(source, commit)
        try:
            yield goes_on
        finally:
            if goes_on:
                self._leave(source)

    async def _enter(self, source: SourceName, commit: bool) -> bool:
        queue = self._queues.get(source)
        if queue is None:
            self._queues[source] = _Queue()
            return True
        if commit and queue.commit is not None:
            queue.waiting.remove(queue.commit)
            queue.commit.set_result(False)
        mine: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        queue.waiting.append(mine)
        queue.commit = mine if commit else queue.commit
        try:
            return await mine
        except asyncio.CancelledError:
            if mine in queue.waiting:
                queue.waiting.remove(mine)
                queue.commit = None if queue.commit is mine else queue.commit
            elif mine.done() and not mine.cancelled() and mine.result():
                self._leave(source)  # its turn came in the same instant
            raise

    def _leave(self, source: SourceName) -> None:
        queue = self._queues[source]
        if not queue.waiting:
            del self._queues[source]
            return
        following = queue.waiting.pop(0)
        queue.commit = None if queue.commit is following else queue.commit
        following.set_result(True)
