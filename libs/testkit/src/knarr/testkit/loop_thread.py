"""A thread with an event loop of its own, for servers that outlive one test. Used by `servers`.

pytest-asyncio gives every test its own loop; a server that a session owns can belong to none of them. The thread lives
as long as the servers do: the kernel ends a child whose starting thread ended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for synchronous callers, all in one loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="session-servers", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T], *, deadline_seconds: float) -> T:
        """Run `coroutine` there and wait for its result. Raises what it raises, TimeoutError after the deadline."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(deadline_seconds)
        except TimeoutError:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop and the thread."""
        self.call(self._loop.shutdown_default_executor(), deadline_seconds=60.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60.0)
        self._loop.close()
