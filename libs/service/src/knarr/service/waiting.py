"""Waiting for several things at once, in ways that hold on Python 3.11.

Two traps of 3.11 are met here once. `asyncio.wait_for`, through which nats-py and asyncpg wait, loses a cancellation
that arrives in the instant of the answer. A `TaskGroup` whose child fails while it ends leaves its own task marked as
cancelled, and wraps a numbered error so that nobody sees its number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")
_AGAIN_SECONDS = 1.0


async def all_of(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Runs all at once; their results in order. The first that fails ends the others, and its error is raised as it is.

    Ends only when all have ended: who swallows a cancellation is cancelled again.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    if not tasks:
        return []
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        await _end(tasks)
    for task in tasks:
        if task in done and (task.cancelled() or task.exception() is not None):
            task.result()
    return [task.result() for task in tasks]


def end_if_cancelled() -> None:
    """CancelledError when the current task was cancelled, whoever swallowed it. Endless loops ask at every turn."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # it has been looked at
