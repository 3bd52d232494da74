"""Keeping the process small: what a library would load for nothing, and memory that a burst leaves behind.

Called by main and host before anything else is imported, and by the agent when it has come to rest.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import time


def leave_out() -> None:
    """structlog loads rich, where it is installed, to colour tracebacks: 5 MiB that an agent never uses."""
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]


_SHARE = 0.01
_next = 0.0


def give_back() -> None:
    """Freed memory goes back to the system; where the C library cannot (musl), nothing happens.

    It takes at most a hundredth of the process's time: a host of a thousand agents must not collect a thousand times.
    """
    global _next
    began = time.monotonic()
    if began < _next:
        return
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    ended = time.monotonic()
    _next = ended + (ended - began) / _SHARE
