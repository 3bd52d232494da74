"""Whose turn it is: places for runs are shared out per source, and who runs out of time starts with less.

Pure rules; `room.py` waits by them and `raws.py` gives seconds by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MOST_STRIKES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many runs at a time: `shared` by whoever has work, and `first` more for sources that have none running."""

    shared: int
    first: int

    def are_free_for(self, source: str, held: Mapping[str, int]) -> bool:
        """Whether `source` may begin another run. Nobody's many runs keep another source's first one waiting."""
        running = sum(held.values())
        return running < self.shared or (not held.get(source, 0) and running < self.shared + self.first)


def next_in_turn(
    waiting: Sequence[str], held: Mapping[str, int], served: Mapping[str, int], places: Places
) -> int | None:
    """Which of `waiting` (sources, oldest first) begins next: who has least running, then who was served longest ago.

    `served`: the number of the last run that a source began. None when no place is free for anybody.
    """
    able = [i for i, source in enumerate(waiting) if places.are_free_for(source, held)]
    return min(able, key=lambda i: (held.get(waiting[i], 0), served.get(waiting[i], 0), i), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How often in a row an app ran out of time, and when last (seconds of any steady clock)."""

    strikes: int = 0
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a run may take: `seconds`, half of it after each run that took it all, down to a sixteenth.

    One strike is forgotten every `forget_seconds`; a run that works forgets them all.
    """

    seconds: float
    forget_seconds: float = 600.0

    def of(self, standing: Standing, now: float) -> float:
        """Seconds for the next run."""
        return float(self.seconds / 2 ** self._left(standing, now))

    def after_running_out(self, standing: Standing, now: float) -> Standing:
        """The standing after a run that took all of its time."""
        return Standing(strikes=min(_MOST_STRIKES, self._left(standing, now) + 1), at=now)

    def _left(self, standing: Standing, now: float) -> int:
        return max(0, standing.strikes - int((now - standing.at) // self.forget_seconds))
