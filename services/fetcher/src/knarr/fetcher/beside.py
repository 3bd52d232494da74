"""Work on foreign bytes beside the event loop: two threads of its own, so that it never takes those of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="charts")


async def beside_the_loop(call: Callable[P, T], /, *args: P.args, **more: P.kwargs) -> T:
    """What `call` returns or raises."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, lambda: call(*args, **more))
