"""What a renderer process remembers between commits, so that the cost follows the change (I11).

Everything is keyed by content, so a wrong memory is impossible: a change is another key. Each store is bounded; the
least recently used entry goes first and is made again when it is needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """A bounded store of values by key."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value, or None."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> V:
        """Keeps `value` and gives it back."""
        self._values[key] = value
        self._values.move_to_end(key)
        while len(self._values) > self._size:
            self._values.popitem(last=False)
        return value

    def make(self, key: K, make: Callable[[], V]) -> V:
        """The remembered value, or what `make` gives."""
        known = self.get(key)
        return known if known is not None else self.put(key, make())
