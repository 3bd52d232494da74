"""Free loopback ports below the range from which the kernel takes ports for outgoing connections.

A port that the kernel names for port 0 lies in that range and may become some client's own port before the server
binds it; with a dozen API servers starting at once that happens.
"""

from __future__ import annotations

import random
import socket
import threading
from collections import deque

from knarr.pipeline.errors import retryable

_FIRST, _LAST = 15_000, 32_000
# Long enough that none is given out again before its server has bound it, short enough that they never run out.
_given: deque[int] = deque(maxlen=2_000)
_lock = threading.Lock()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on and that this process has not given out lately."""
    chooser = random.SystemRandom()
    with _lock:
        for _ in range(500):
            port = chooser.randint(_FIRST, _LAST)
            if port not in _given and is_free(port):
                _given.append(port)
                return port
    raise retryable("KNR6115", f"no free port between {_FIRST} and {_LAST}")


def is_free(port: int) -> bool:
    """Whether nobody listens on `port` of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
