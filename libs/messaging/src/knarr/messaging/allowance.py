"""How many dead letters one sender may cause: the first of a while are kept, further ones are only counted. Pure."""

from __future__ import annotations

from enum import Enum

_MOST_SENDERS = 10_000


class Room(Enum):
    """Whether there is room for another one; `LAST`: there is, and for no further one for a while."""

    FREE = "free"
    LAST = "last"
    NONE = "none"


class Allowance:
    """`most` in any window of `seconds`, counted from the sender's first. Senders beyond ten thousand share one."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._spent: dict[str, tuple[float, int]] = {}

    def take(self, sender: str, now: float) -> Room:
        """Takes one; `now` in seconds of any clock that only goes forward."""
        if sender not in self._spent and len(self._spent) >= _MOST_SENDERS:
            self._forget(now)
            sender = sender if len(self._spent) < _MOST_SENDERS else ""
        began, count = self._spent.get(sender, (now, 0))
        if now - began >= self._seconds:
            began, count = now, 0
        self._spent[sender] = (began, count + 1)
        if count + 1 < self._most:
            return Room.FREE
        return Room.LAST if count + 1 == self._most else Room.NONE

    def _forget(self, now: float) -> None:
        self._spent = {s: (at, n) for s, (at, n) in self._spent.items() if now - at < self._seconds}
