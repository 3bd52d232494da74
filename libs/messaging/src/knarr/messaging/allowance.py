"""What one sender may cost: dead letters, of which the first of a while are kept, and time for opening. Pure."""

from __future__ import annotations

from enum import Enum

_MOST_SENDERS = 10_000
SAY_AGAIN_SECONDS = 60.0
# Looking through all of them is not done for each of many names.
_FORGET_SECONDS = 1.0


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
        self._forgotten = -_FORGET_SECONDS

    def take(self, sender: str, now: float) -> Room:
        """Takes one; `now` in seconds of any clock that only goes forward."""
        if sender not in self._spent and len(self._spent) >= _MOST_SENDERS:
            self._forget(now)
            sender = sender if len(self._spent) < _MOST_SENDERS else ""
        began, count, said = self._spent.get(sender, (now, 0, 0.0))
        if now - began >= self._seconds:
            began, count = now, 0
        count += 1
        last = count == self._most or (count > self._most and now - said >= SAY_AGAIN_SECONDS)
        self._spent[sender] = (began, count, now if last else said)
        if count < self._most:
            return Room.FREE
        return Room.LAST if last else Room.NONE

    def _forget(self, now: float) -> None:
        if now - self._forgotten < _FORGET_SECONDS:
            return
        self._forgotten = now
        self._spent = {s: kept for s, kept in self._spent.items() if now - kept[0] < self._seconds}


class Spending:
    """Seconds of a processor's time by sender: at most `most` in any window of `window`, counted from the first."""

    def __init__(self, most: float, window: float) -> None:
        self._most, self._window = most, window
        self._spent: dict[str, tuple[float, float]] = {}
        self._forgotten = -_FORGET_SECONDS

    def is_spent(self, sender: str, now: float) -> bool:
        """Whether the sender has had its share."""
        began, seconds = self._spent.get(sender, (now, 0.0))
        return seconds >= self._most and now - began < self._window

    def add(self, sender: str, seconds: float, now: float) -> None:
        """So much more. Senders beyond ten thousand within one window are not counted."""
        began, before = self._spent.get(sender, (now, 0.0))
        if now - began >= self._window:
            began, before = now, 0.0
        elif sender not in self._spent and len(self._spent) >= _MOST_SENDERS:
            self._forget(now)
            if len(self._spent) >= _MOST_SENDERS:
                return
        self._spent[sender] = (began, before + seconds)

    def _forget(self, now: float) -> None:
        if now - self._forgotten < _FORGET_SECONDS:
            return
        self._forgotten = now
        self._spent = {s: kept for s, kept in self._spent.items() if now - kept[0] < self._window}
