"""The number that orders the commits of a source."""

from __future__ import annotations


def next_number(last: int, now_ms: int) -> int:
    """`max(last + 1, Unix ms)`: grows with every commit seen, force-pushes and lost states included."""
    return max(last + 1, now_ms)
