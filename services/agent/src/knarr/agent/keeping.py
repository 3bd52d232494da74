"""Group commit: however many apps change at once, the store is written once at a time with all of it.

`save` returns when the change is durable. While one write is under way the next ones gather (latest per key).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from knarr.agent.ports import Store


class Keeper:
    """One per agent; needs no task of its own: the first who saves writes for all who come meanwhile."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: dict[str, bytes | None] = {}
        self._turn = asyncio.Lock()
        self._round = 0
        self.writes = 0

    async def save(self, changes: Mapping[str, bytes | None]) -> None:
        """Durable on return; raises what the store raises, and then nothing of it counts as written."""
        self._pending.update(changes)
        mine = self._round
        async with self._turn:
            if self._round != mine:
                return
            batch, self._pending = self._pending, {}
            self._round += 1
            if not batch:
                return
            try:
                await self._store.save(batch)
            except BaseException:
                self._pending = {**batch, **self._pending}
                self._round -= 1
                raise
            self.writes += 1
