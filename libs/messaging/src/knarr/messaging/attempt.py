"""One attempt at handling: the one place that maps an error to done, again, rejected or failed.

Each attempt runs in a task of its own with a deadline, so that whatever it does to its task on Python 3.11 (see
knarr.service.waiting) leaves the consumer as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any

import structlog

from knarr.pipeline.errors import KnarrError, Retryable, failure_of
from knarr.pipeline.failure import Failure
from knarr.service.waiting import all_of

LOG = structlog.get_logger("knarr.consume")


class Outcome(Enum):
    """`AGAIN`: the world was not ready. `REJECTED`: the input is refused. `FAILED`: the program failed on it."""

    DONE = "done"
    AGAIN = "retry"
    REJECTED = "rejected"
    FAILED = "failed"


async def attempt(
    work: Callable[[], Coroutine[Any, Any, None]], seconds: float, *, alone: bool = True
) -> tuple[Outcome, Failure | None]:
    """Runs `work` for at most `seconds`. Raises only the cancellation of the caller.

    The cause of a failure is logged where the message that causes it is `alone`; the others are only tried with it.
    """
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            await all_of((work(),))
    except Retryable as error:
        return Outcome.AGAIN, failure_of(error)
    except KnarrError as error:
        return Outcome.REJECTED, failure_of(error)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Outcome.FAILED, Failure(code="KNR7020", message="the work was cancelled from within")
    except Exception as error:
        if deadline.expired():
            return Outcome.FAILED, Failure(code="KNR7016", message=f"not handled within {seconds:g} s")
        if alone:
            LOG.exception("message handling failed")
        return Outcome.FAILED, Failure(code="KNR7020", message=f"{type(error).__name__} while handling the message")
    return Outcome.DONE, None
