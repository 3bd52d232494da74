"""The processes of an installation, kept alive: a part that dies is named, with its last words, and started again."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from knarr.local.health import answers_ok
from knarr.local.process import Command, OwnedProcess
from knarr.pipeline.errors import KnarrError, retryable
from knarr.service.waiting import all_of

Say = Callable[[str], None]
Start = Callable[[], Awaitable[None]]
_WATCH_SECONDS = 0.2
_READY_SECONDS = 60.0
_MOST_DEATHS = 10
_LONGEST_PAUSE_SECONDS = 5.0
_DEATHS_WITHIN_SECONDS = 60.0


class Part:
    """One process with a health address. `health`: the path that says that it has started well enough."""

    def __init__(
        self,
        name: str,
        module: str,
        environment: Mapping[str, str],
        state_dir: Path,
        listen_port: int,
        *,
        health: str = "/readyz",
    ) -> None:
        self.name = name
        self._health = health
        self.url = f"http://127.0.0.1:{listen_port}"
        argv = (sys.executable, "-m", module)
        self.process = OwnedProcess(Command(name=name, argv=argv, environment=environment), state_dir)

    async def start(self) -> None:
        """Starts it and waits until it says that it is ready."""
        await self.process.start(self._ready, deadline_seconds=_READY_SECONDS)

    async def stop(self) -> None:
        """Stops it in order."""
        await self.process.stop()

    async def watch(self, say: Say) -> None:
        """Starts it again whenever it dies."""
        await keep_alive(self.name, self.process, self.start, say)

    async def _ready(self) -> bool:
        return await answers_ok(f"{self.url}{self._health}")


async def keep_alive(name: str, process: OwnedProcess, start: Start, say: Say) -> None:
    """Names a death with its last words and starts again; KNR6210 ends the installation when it dies too often."""
    deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
    while True:
        while process.running:  # noqa: ASYNC110 - a child's end is no event of this loop
            await asyncio.sleep(_WATCH_SECONDS)
        deaths.append(time.monotonic())
        last_words = process.log_tail(3)
        say(f"{name} died; starting it again. Its last words:\n{last_words}")
        if len(deaths) == _MOST_DEATHS and deaths[-1] - deaths[0] < _DEATHS_WITHIN_SECONDS:
            raise retryable("KNR6210", f"{name} died {_MOST_DEATHS} times; log {process.log_file}:\n{last_words}")
        await process.kill()
        try:
            await start()
        except KnarrError as error:
            say(f"{name} does not start: {error.message}")
            await asyncio.sleep(min(_LONGEST_PAUSE_SECONDS, 0.5 * 2 ** len(deaths)))
            continue
        say(f"{name} runs again")


async def start_together(parts: list[Part]) -> None:
    """All at once; the first that fails is raised, the others are stopped by whoever owns them."""
    await all_of(part.start() for part in parts)
