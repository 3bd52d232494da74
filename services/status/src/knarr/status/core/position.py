"""Which of two messages about the same thing is the newer one.

A stream that was deleted and made again counts from 1 again, so a sequence alone orders nothing: the stream's creation
time comes first. Every guarded write of the read model compares positions; nothing compares clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Where a message lies: its stream's creation (ns since 1970) and its sequence in it."""

    stream_created: int
    sequence: int


NOWHERE = Position(stream_created=0, sequence=0)


class Positioned(Protocol):
    """A row that knows from which message it came."""

    @property
    def position(self) -> Position: ...


R = TypeVar("R", bound=Positioned)


def newest_per_key(rows: Iterable[R], key: Callable[[R], tuple[str, ...]]) -> Sequence[R]:
    """The newest row of each key, sorted by key.

    One statement cannot touch a row twice, and writers that lock in one order do not deadlock.
    """
    newest: dict[tuple[str, ...], R] = {}
    for row in rows:
        held = newest.get(key(row))
        if held is None or held.position < row.position:
            newest[key(row)] = row
    return [newest[k] for k in sorted(newest)]
