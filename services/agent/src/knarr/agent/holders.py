"""Which assigned app holds which object: so that two apps never fight over one, and a move is a transfer.

Known only for apps whose assigned bundle was loaded; until all are, nothing is pruned. Who comes second waits, and
holds the object from the moment that the first one lets go of it: in between it would be nobody's, and be pruned.
A hook holds its name only: an ordinary object of another app does not move to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.pipeline.names import AppName, ObjectId


class Holders:
    """One per agent."""

    def __init__(self) -> None:
        self._holder: dict[ObjectId, AppName] = {}
        self._wanted: dict[AppName, tuple[ObjectId, ...]] = {}
        self._second: dict[ObjectId, list[AppName]] = {}
        self._hooks: dict[AppName, frozenset[ObjectId]] = {}

    def claim(self, app: AppName, ids: Iterable[ObjectId], hooks: frozenset[ObjectId] = frozenset()) -> bool:
        """The app's bundle holds exactly these, but for what another app holds already. Whether it let go of any.

        `hooks` are those of them that are hooks.
        """
        wanted, self._hooks[app] = set(ids), hooks
        released = [self._release(app, i) for i in self._wanted.get(app, ()) if i not in wanted]
        self._wanted[app] = tuple(wanted)
        for identity in wanted:
            if self._holder.setdefault(identity, app) != app and app not in self._second.setdefault(identity, []):
                self._second[identity].append(app)
        return any(released)

    def drop(self, app: AppName) -> bool:
        """The app holds nothing any more. Whether it held anything."""
        self._hooks.pop(app, None)
        released = [self._release(app, identity) for identity in self._wanted.pop(app, ())]
        return any(released)

    def of(self, identity: ObjectId) -> AppName | None:
        """The app that holds the object."""
        return self._holder.get(identity)

    def has(self, identity: ObjectId) -> AppName | None:
        """The app that holds it as an ordinary object."""
        holder = self._holder.get(identity)
        return None if holder is None or identity in self._hooks.get(holder, ()) else holder

    def moved(self, app: AppName, ids: Iterable[ObjectId]) -> frozenset[ObjectId]:
        """Those of `ids` that are another app's ordinary objects now."""
        return frozenset(i for i in ids if self.has(i) not in (None, app))

    def others(self, app: AppName, ids: Iterable[ObjectId]) -> dict[ObjectId, AppName]:
        """Those of `ids` that another app holds."""
        return {i: holder for i in ids if (holder := self._holder.get(i)) is not None and holder != app}

    def _release(self, app: AppName, identity: ObjectId) -> bool:
        """Whether the app held it."""
        second, held = self._second.get(identity, []), self._holder.get(identity) == app
        if not held:
            second[:] = [other for other in second if other != app]
        elif second:
            self._holder[identity] = second.pop(0)
        else:
            del self._holder[identity]
        if not second:
            self._second.pop(identity, None)
        return held
