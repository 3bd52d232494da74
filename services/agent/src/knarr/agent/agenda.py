"""Which apps to look at next: latest wins per app, each app at most once at a time, timers included.

The bound is the number of apps: marking an app that is marked already changes nothing.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from knarr.pipeline.names import AppName

_REST_SECONDS = 3.0


class Agenda:
    """Filled by events, emptied by the dispatcher. Times are the given clock's, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ready: dict[AppName, None] = {}
        self._busy: set[AppName] = set()
        self._again: set[AppName] = set()
        self._due: dict[AppName, float] = {}
        self._timers: list[tuple[float, AppName]] = []
        self._wake = asyncio.Event()
        self._stirred = asyncio.Event()

    def mark(self, app: AppName) -> None:
        """Look at the app as soon as possible."""
        if app in self._busy:
            self._again.add(app)
            return
        self._ready[app] = None
        self._wake.set()

    def at(self, app: AppName, when: float) -> None:
        """Look at the app at a time; the earlier of two times counts."""
        if when >= self._due.get(app, float("inf")):
            return
        self._due[app] = when
        heapq.heappush(self._timers, (when, app))
        self._wake.set()

    async def take(self) -> AppName:
        """The next app; it is not given out again before `done`."""
        while True:
            self._collect_due()
            if self._ready:
                app = next(iter(self._ready))
                del self._ready[app]
                self._busy.add(app)
                self._stirred.set()
                return app
            self._wake.clear()
            await self._sleep()

    def done(self, app: AppName) -> None:
        """The app may be looked at again."""
        self._busy.discard(app)
        if app in self._again:
            self._again.discard(app)
            self.mark(app)

    async def rests(self, do: Callable[[], None]) -> None:
        """Does something each time that nothing happened for a while after something had. Until cancelled."""
        while True:
            await self._stirred.wait()
            while self._stirred.is_set():
                self._stirred.clear()
                await asyncio.sleep(_REST_SECONDS)
            do()

    @property
    def idle(self) -> bool:
        """Whether nothing is marked or being looked at."""
        return not self._ready and not self._busy

    def _collect_due(self) -> None:
        now = self._clock()
        while self._timers and self._timers[0][0] <= now:
            when, app = heapq.heappop(self._timers)
            if self._due.get(app) == when:
                del self._due[app]
                self.mark(app)

    async def _sleep(self) -> None:
        if not self._timers:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(max(0.0, self._timers[0][0] - self._clock())):
                await self._wake.wait()
        except TimeoutError:
            return
