"""Waiting for several things: errors keep their number, nobody is left behind, a swallowed cancellation is noticed."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from knarr.pipeline.errors import Retryable, retryable
from knarr.service import waiting
from knarr.service.waiting import all_of, end_if_cancelled


async def _value(number: int) -> int:
    await asyncio.sleep(0)
    return number


async def _fails() -> int:
    await asyncio.sleep(0)
    raise retryable("KNR3041", "the database is gone")


async def test_results_come_in_order() -> None:
    assert await all_of(_value(n) for n in range(3)) == [0, 1, 2]
    assert await all_of([]) == []


async def test_the_first_error_is_raised_as_it_is_and_ends_the_others() -> None:
    ended = asyncio.Event()

    async def waits() -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()
        return 0

    with pytest.raises(Retryable) as raised:
        await all_of([waits(), _fails()])
    assert raised.value.code == "KNR3041"
    assert ended.is_set()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_who_swallows_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_AGAIN_SECONDS", 0.01)
    swallowed = 0

    async def stubborn() -> int:
        nonlocal swallowed
        while swallowed < 3:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            swallowed += 1
        return 0

    with pytest.raises(Retryable):
        await all_of([stubborn(), _fails()])
    assert swallowed == 3


async def test_cancelling_the_whole_cancels_every_part() -> None:
    ended: list[int] = []

    async def waits(number: int) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(number)

    whole = asyncio.create_task(_nothing(all_of([waits(1), waits(2)])))
    await asyncio.sleep(0.01)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert sorted(ended) == [1, 2]


async def test_a_failure_beside_the_first_one_is_not_reported_as_never_retrieved() -> None:
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: heard.append(context))
    with pytest.raises(Retryable):
        await all_of([_fails(), _fails(), _fails()])
    await asyncio.sleep(0)
    assert heard == []


async def test_a_cancellation_that_was_swallowed_ends_the_loop_at_its_next_turn() -> None:
    turns = 0

    async def loop() -> None:
        nonlocal turns
        while True:
            end_if_cancelled()
            turns += 1
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    task = asyncio.create_task(loop())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert turns == 1


async def _nothing(awaitable: object) -> None:
    await awaitable  # type: ignore[misc]
