"""How many dead letters one sender may cause: the first of a while are kept, further ones are only counted. Pure."""

from __future__ import annotations

from enum import Enum

_MOST_SENDERS = 10_000
_SAY_AGAIN_SECONDS = 60.0


class Room(Enum):
    """Whether there is room for another one. `LAST`: for this one and then for none, said again each minute."""

    FREE = "free"
    LAST = "last"
    NONE = "none"


class Allowance:
    """`most` in any window of `seconds`, counted from the sender's first. Senders beyond ten thousand share one."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        # Sender → since when, how many, and when it was last said that there are more.
        self._spent: dict[str, tuple[float, int, float]] = {}

    def take(self, sender: str, now: float) -> Room:
        """Takes one; `now` in seconds of any clock that only goes forward."""
        if sender not in self._spent and len(self._spent) >= _MOST_SENDERS:
            self._forget(now)
            sender = sender if len(self._spent) < _MOST_SENDERS else ""
        began, count, said = self._spent.get(sender, (now, 0, 0.0))
        if now - began >= self._seconds:
            began, count = now, 0
        count += 1
        last = count == self._most or (count > self._most and now - said >= _SAY_AGAIN_SECONDS)
        self._spent[sender] = (began, count, now if last else said)
        if count < self._most:
            return Room.FREE
        return Room.LAST if last else Room.NONE

    def _forget(self, now: float) -> None:
        self._spent = {s: kept for s, kept in self._spent.items() if now - kept[0] < self._seconds}
