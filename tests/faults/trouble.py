"""Commits that flow while something is broken, and what must be true afterwards."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from knarr.messaging.streams import STREAMS
from tests.house import House, app_files, config_map, until

HELD = "held"
_MOST_COMMITS = 400
_PACE_SECONDS = 0.1


@dataclass(slots=True, kw_only=True)
class Flow:
    """Commits of one app, one after the other: the ConfigMap `a` says the commit's number."""

    house: House
    app: str
    made: int = 0
    sha: str = ""
    ended: bool = False

    async def run(self) -> None:
        """Until ended (a commit that is cancelled half-way may still be written); bounded, to spare the disk."""
        while self.made < _MOST_COMMITS and not self.ended:
            await self.one()
            await asyncio.sleep(_PACE_SECONDS)  # the rhythm of the load; nothing is waited for here

    async def one(self) -> None:
        """The next commit."""
        self.made += 1
        self.sha = await self.house.push({f"apps/{self.app}/a.yaml": config_map("a", str(self.made))})

    async def goes_on(self, commits: int) -> None:
        """Returns when so many more commits were made."""
        wanted = self.made + commits

        async def look() -> bool:
            return self.made >= wanted

        await until(f"{commits} more commits", look, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A house, ways to harm it, and the checks that hold whatever happened. `tasks` owns the watching of processes."""

    house: House
    tasks: asyncio.TaskGroup
    watching: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def watch(self, *names: str) -> None:
        """Starts these processes again whenever they die, as `knarr up` does."""
        for name in names:
            self.watching[name] = self.tasks.create_task(self.house.part(name).watch(lambda _text: None))

    def unwatch(self, *names: str) -> None:
        """Leaves them dead when they die."""
        for name in names:
            self.watching.pop(name).cancel()

    @asynccontextmanager
    async def unwatched(self, *names: str) -> AsyncIterator[None]:
        """Within the block nobody starts these processes again."""
        self.unwatch(*names)
        try:
            yield
        finally:
            self.watch(*names)

    @asynccontextmanager
    async def commits_flow(self, app: str) -> AsyncIterator[Flow]:
        """While the block runs commits are made; afterwards every cluster must come to the last of them."""
        house, flow = self.house, Flow(house=self.house, app=app)
        await house.push(app_files(app, {"a": "0", "beside": "still"}))
        await house.everywhere(app, "a", "0")
        before = {cluster: house.uids(cluster) for cluster in house.plan.clusters}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(flow.run())
            try:
                await flow.goes_on(2)
                yield flow
                await flow.goes_on(2)
            finally:
                flow.ended = True
        await flow.one()
        await self.converged(flow, before)

    async def converged(self, flow: Flow, before: dict[str, dict[str, str]]) -> None:
        """The newest commit is everywhere and told as healthy; nothing was deleted; held stayed held."""
        house = self.house
        await house.everywhere(flow.app, "a", str(flow.made), 60.0)
        await house.commit_in(flow.sha, ("healthy",), 60.0)
        await house.at_rest(60.0)
        for cluster, uids in before.items():
            now = house.uids(cluster)
            assert {name: now.get(name) for name in uids} == uids
        held = (await house.ask("revisions", state="held"))["items"]
        assert [r["app"] for r in held] == [HELD]

    async def kill(self, name: str) -> None:
        """kill -9 of a process; returns when its successor is ready."""
        part = self.house.part(name)
        before = part.process.pid
        part.process.signal(signal.SIGKILL)

        async def back() -> bool:
            return part.process.pid not in (None, before)

        await until(f"{name} running again", back, 30.0)

    async def make_anew(self, stream: str) -> None:
        """Deletes a stream with all that it holds and makes it again, empty."""
        js = self.house.broker.jetstream()
        await js.delete_stream(stream)
        await js.add_stream(next(s for s in STREAMS if s.name == stream).config(1))
