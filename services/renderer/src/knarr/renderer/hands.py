"""As many consuming loops as there are messages at work, and one that is free: a slow commit never blocks the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from knarr.messaging.consume import Handler, Received

_MOST = 64  # beyond, messages wait in the stream


class Hands:
    """`start(handler)` is one loop that takes one message at a time and runs until it is cancelled."""

    def __init__(self, start: Callable[[Handler], Coroutine[Any, Any, None]]) -> None:
        self._start = start
        self._hands = self._busy = 0

    async def work(self, handle: Callable[[Received], Awaitable[None]]) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:

            async def one(received: Received) -> None:
                self._busy += 1
                if self._busy == self._hands < _MOST:
                    another()
                try:
                    await handle(received)
                finally:
                    self._busy -= 1

            def another() -> None:
                self._hands += 1
                group.create_task(self._start(one))

            another()
