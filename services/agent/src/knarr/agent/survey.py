"""What exists already of the objects that an app is about to create: one list per kind and namespace, kept briefly.

Without it the agent would apply blindly onto somebody else's object; with one read per object it would ask too often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from knarr.agent.core.objects import Kind, Ref, Seen, ref_of, seen_of
from knarr.agent.ports import AGENT, As, Reading, Selection
from knarr.pipeline.names import ObjectId, object_id

_FRESH_SECONDS = 20.0


@dataclass(slots=True)
class _Place:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    found: dict[ObjectId, Seen] = field(default_factory=dict)
    read_at: float = float("-inf")


class Survey:
    """One per agent. Lists are shared by all apps of an assignment and forgotten after twenty seconds."""

    def __init__(self, cluster: Reading, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._places: dict[tuple[Kind, str, As], _Place] = {}

    async def existing(self, refs: Iterable[Ref], who: As = AGENT) -> dict[ObjectId, Seen]:
        """Those of `refs` that exist. Raises when a list fails: absence is never guessed."""
        found: dict[ObjectId, Seen] = {}
        by_place: dict[tuple[Kind, str, As], list[Ref]] = {}
        for ref in refs:
            by_place.setdefault((ref.of_kind, ref.namespace, who), []).append(ref)
        for place, wanted in by_place.items():
            listed = await self._listed(place)
            found |= {ref.id: listed[ref.id] for ref in wanted if ref.id in listed}
        return found

    def forget(self) -> None:
        """A new assignment is looked at with fresh eyes."""
        self._places = {key: place for key, place in self._places.items() if place.lock.locked()}

    async def _listed(self, key: tuple[Kind, str, As]) -> dict[ObjectId, Seen]:
        place = self._places.setdefault(key, _Place())
        async with place.lock:
            if self._clock() - place.read_at > _FRESH_SECONDS:
                place.read_at = self._clock()
                try:
                    place.found = await self._read(*key)
                except BaseException:
                    place.read_at = float("-inf")
                    raise
            return place.found

    async def _read(self, kind: Kind, namespace: str, who: As) -> dict[ObjectId, Seen]:
        found: dict[ObjectId, Seen] = {}
        async for page in self._cluster.pages(Selection(kind=kind, namespace=namespace), who=who):
            for item in page.items:
                ref = ref_of(item)
                found[object_id(kind.group, kind.kind, ref.namespace, ref.name)] = seen_of(item, kind)
        return found
