"""Ends a loop that was cancelled while nobody noticed.

asyncio.wait_for of Python 3.11 loses a cancellation that arrives in the instant in which the awaited thing is done;
nats-py and asyncpg wait through it. So every endless loop asks at each turn.
"""

from __future__ import annotations

import asyncio


def check_wanted() -> None:
    """CancelledError when the current task was cancelled, whoever swallowed it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
