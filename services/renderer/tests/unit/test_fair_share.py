"""Places, time and turns are shared out per source: one source's many or slow runs are its own harm."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

from hypothesis import given
from hypothesis import strategies as st

from knarr.pipeline.errors import rejected
from knarr.pipeline.names import SourceName
from knarr.renderer.adapters.cache import MemoryCache
from knarr.renderer.core.fair import Allowance, Places, Standing, next_in_turn
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.spec import Spec
from knarr.renderer.core.tree import Contents
from knarr.renderer.patience import Patience
from knarr.renderer.ports import ToolJob
from knarr.renderer.raws import Raws
from knarr.renderer.room import Room
from knarr.renderer.turns import Turns

SOURCES = st.sampled_from("abcd")


@given(
    waiting=st.lists(SOURCES),
    held=st.dictionaries(SOURCES, st.integers(1, 5)),
    served=st.dictionaries(SOURCES, st.integers(1, 9)),
)
def test_who_has_least_running_comes_first_and_nobody_waits_for_anothers_many_runs(
    waiting: list[str], held: dict[str, int], served: dict[str, int]
) -> None:
    places = Places(shared=2, first=3)
    chosen = next_in_turn(waiting, held, served, places)
    idle = [s for s in waiting if not held.get(s)]
    if idle and sum(held.values()) < places.shared + places.first:
        assert chosen is not None
        assert not held.get(waiting[chosen])
        assert served.get(waiting[chosen], 0) == min(served.get(s, 0) for s in idle)
    if chosen is not None:
        assert waiting.index(waiting[chosen]) == chosen
        assert sum(held.values()) < places.shared + (0 if held.get(waiting[chosen]) else places.first)


async def test_six_long_runs_of_one_source_leave_a_place_for_anothers_first() -> None:
    room = Room(Places(shared=2, first=2))
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(room.place("hostile"))
        queue = [asyncio.create_task(stack.enter_async_context(room.place("hostile"))) for _ in range(4)]
        async with asyncio.timeout(5), room.place("other") as held:
            assert held == 1
        assert not any(task.done() for task in queue)
        for task in queue:
            task.cancel()
        await asyncio.gather(*queue, return_exceptions=True)
    async with AsyncExitStack() as stack:  # nothing leaked
        async with asyncio.timeout(5):
            for _ in range(2):
                await stack.enter_async_context(room.place("hostile"))


@given(plan=st.lists(st.tuples(SOURCES, st.booleans()), max_size=30))
def test_whatever_is_cancelled_no_place_is_lost_and_none_is_given_twice(plan: list[tuple[str, bool]]) -> None:
    asyncio.run(_played(plan))


async def _played(plan: list[tuple[str, bool]]) -> None:
    places = Places(shared=2, first=1)
    room, inside = Room(places), Counter[str]()

    async def run(source: str) -> None:
        async with room.place(source):
            inside[source] += 1
            assert inside.total() <= places.shared + places.first
            await asyncio.sleep(0)
            inside[source] -= 1

    tasks = []
    for source, cancelled in plan:
        tasks.append(asyncio.create_task(run(source)))
        await asyncio.sleep(0)
        if cancelled:
            tasks[len(tasks) // 2].cancel()
    async with asyncio.timeout(5):
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(e is None or isinstance(e, asyncio.CancelledError) for e in ended)
    async with asyncio.timeout(5), room.place("a"), room.place("b"), room.place("c"):
        pass


def test_who_runs_out_of_time_starts_with_less_until_time_passes() -> None:
    allowance = Allowance(seconds=32.0, forget_seconds=100.0)
    standing = Standing()
    given_seconds = []
    for now in range(6):
        given_seconds.append(allowance.of(standing, now))
        standing = allowance.after_running_out(standing, now)
    assert given_seconds == [32.0, 16.0, 8.0, 4.0, 2.0, 2.0]
    assert [allowance.of(standing, 5 + later) for later in (99, 100, 399, 400)] == [2.0, 4.0, 16.0, 32.0]


class Slow:
    """A tool that takes `needs` seconds, as far as anybody lets it."""

    version = "1"

    def __init__(self) -> None:
        self.needs = 100.0
        self.had: list[float] = []

    async def run(self, job: ToolJob) -> tuple[tuple[str, bytes], ...]:
        assert job.seconds is not None
        self.had.append(job.seconds)
        if self.needs > job.seconds:
            raise rejected("KNR2402", f"it did not end within {job.seconds:g} s")
        return ()


class Nothing:
    """No contents."""

    def read(self, content_id: bytes) -> bytes:
        raise KeyError(content_id)


async def test_an_app_that_ran_out_of_time_has_less_the_next_time_and_all_of_it_after_a_change_that_works() -> None:
    tool, now = Slow(), [0.0]
    raws = Raws({"helm": tool}, MemoryCache(), Limits(seconds=32.0), clock=lambda: now[0])
    contents: Contents = Nothing()

    async def change(number: int, app: str = "bad") -> list[str]:
        raw = await raws.raw(Spec(renderer="helm", folder=app, digest=bytes([number])), contents, ("team", app))
        return [f.code for f in raw.failures]

    assert [await change(n) for n in (1, 2, 3)] == [["KNR2402"]] * 3
    assert tool.had == [32.0, 16.0, 8.0]
    assert await change(3) == ["KNR2402"]  # the same input is not run again
    assert len(tool.had) == 3
    assert (await change(4, "good"), tool.had[-1]) == (["KNR2402"], 32.0)  # another app's time is its own
    now[0] = 1300.0
    assert (await change(3), tool.had[-1]) == (["KNR2402"], 16.0)  # it would have more now
    tool.needs = 1.0
    assert (await change(5), await change(6)) == ([], [])
    assert tool.had[-1] == 32.0


async def test_of_the_commits_that_wait_for_a_source_only_the_newest_goes_on() -> None:
    turns, a, b = Turns(), SourceName("a"), SourceName("b")
    done: list[str] = []
    release = asyncio.Event()

    async def commit(name: str, source: SourceName = a, *, waits: bool = False, is_commit: bool = True) -> None:
        async with turns.of(source, commit=is_commit) as goes_on:
            if goes_on and waits:
                await release.wait()
            done.append(name if goes_on else f"{name} left")

    async with asyncio.timeout(5):
        first = asyncio.create_task(commit("1", waits=True))
        await asyncio.sleep(0)
        facts = asyncio.create_task(commit("facts", is_commit=False))
        waiting = []
        for name in ("2", "3", "4"):
            waiting.append(asyncio.create_task(commit(name)))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting[:2])
        await commit("other source", b)
        assert done == ["2 left", "3 left", "other source"]
        release.set()
        await asyncio.gather(first, facts, waiting[2])
    assert done[3:] == ["1", "facts", "4"]


async def test_a_turn_that_is_cancelled_while_it_waits_is_nobodys() -> None:
    turns, source = Turns(), SourceName("a")
    async with asyncio.timeout(5):
        async with turns.of(source, commit=True):
            waiting = [asyncio.create_task(_enter(turns, source)) for _ in range(3)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        async with turns.of(source, commit=True) as goes_on:
            assert goes_on


async def _enter(turns: Turns, source: SourceName) -> None:
    async with turns.of(source):
        pass


async def test_a_commit_does_not_wait_for_what_belongs_to_others() -> None:
    patience: Patience[str] = Patience(0.01)
    release = asyncio.Event()

    async def own() -> str:
        await asyncio.sleep(0.05)
        return "own"

    async def slow() -> str:
        await release.wait()
        return "slow"

    async def quick() -> str:
        return "quick"

    async with asyncio.timeout(5):
        work = {"own": own, "slow": slow, "quick": quick}
        assert await patience.results(work, frozenset({"own"})) == {"own": "own", "slow": None, "quick": "quick"}
        await patience.close()
        release.set()
        assert await Patience[str](None).results(work, frozenset({"own"})) == {k: k for k in work}
