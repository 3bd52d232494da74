"""Waiting for apps: for those of the commit's own source until they are done, for others' only so long.

One source's slow chart must not keep another's commit open. What is late goes on in the background, so that the next
look finds it done; its owner ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping
from typing import Any, Generic, TypeVar

from knarr.service.waiting import all_of

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Patience(Generic[V]):
    """`seconds`: how long others are waited for once the own ones are done; None: for ever. Close it."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._late: set[asyncio.Task[V]] = set()

    async def results(
        self, work: Mapping[K, Callable[[], Coroutine[Any, Any, V]]], own: frozenset[K]
    ) -> Mapping[K, V | None]:
        """What each of `work` gives; None for what is late. The first error of any of them is raised."""
        if self._seconds is None or own == work.keys():
            return dict(zip(work, await all_of(make() for make in work.values()), strict=True))
        others = {key: asyncio.ensure_future(make()) for key, make in work.items() if key not in own}
        self._late.update(others.values())
        for task in others.values():
            task.add_done_callback(self._ended)
        done: dict[K, V | None] = dict(zip(own, await all_of(work[key]() for key in own), strict=True))
        await asyncio.wait(others.values(), timeout=self._seconds)
        for key, task in others.items():
            done[key] = task.result() if task.done() else None
        return done

    async def close(self) -> None:
        """Ends what is late."""
        tasks = list(self._late)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[V]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # whoever looks next meets it again
