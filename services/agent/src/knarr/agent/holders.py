"""Which assigned app holds which object: so that two apps never fight over one, and a move is a transfer.

Known only for apps whose assigned bundle was loaded; until all are, nothing is pruned.
"""

from __future__ import annotations

from collections.abc import Iterable

from knarr.pipeline.names import AppName, ObjectId


class Holders:
    """One per agent."""

    def __init__(self) -> None:
        self._holder: dict[ObjectId, AppName] = {}
        self._held: dict[AppName, tuple[ObjectId, ...]] = {}

    def claim(self, app: AppName, ids: Iterable[ObjectId]) -> bool:
        """The app's bundle holds exactly these, but for what another app holds already. Whether it let go of any."""
        wanted = set(ids)
        released = set(self._held.get(app, ())) - wanted
        for identity in released:
            self._release(app, identity)
        for identity in wanted:
            self._holder.setdefault(identity, app)
        self._held[app] = tuple(i for i in wanted if self._holder[i] == app)
        return bool(released)

    def drop(self, app: AppName) -> None:
        """The app holds nothing any more."""
        for identity in self._held.pop(app, ()):
            self._release(app, identity)

    def of(self, identity: ObjectId) -> AppName | None:
        """The app that holds the object."""
        return self._holder.get(identity)

    def others(self, app: AppName, ids: Iterable[ObjectId]) -> dict[ObjectId, AppName]:
        """Those of `ids` that another app holds."""
        return {i: holder for i in ids if (holder := self._holder.get(i)) is not None and holder != app}

    def _release(self, app: AppName, identity: ObjectId) -> None:
        if self._holder.get(identity) == app:
            del self._holder[identity]
