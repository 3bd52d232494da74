"""When to look at a source again."""

from __future__ import annotations

_JITTER = 0.1
_LONGEST_SECONDS = 300.0
_DOUBLINGS = 5


def seconds_until_next_look(interval: float, failures: int, draw: float) -> float:
    """The interval ±10 %, doubled per failure in a row up to five minutes. `draw` is random in [0, 1).

    An interval above the ceiling stays as it is: failing must not make a source be asked more often.
    """
    backed_off = interval * float(2 ** min(failures, _DOUBLINGS))
    ceiling = max(interval, _LONGEST_SECONDS)
    return min(backed_off, ceiling) * (1 + _JITTER * (2 * draw - 1))
