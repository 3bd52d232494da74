"""Gathering what a plan depends on: what is live of bundle and inventory, whatever it takes to know.

Reads only. What could not be read is named per kind, and its objects are left out of the plan: never taken for absent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from knarr.agent.core.inventory import ref_to
from knarr.agent.core.objects import Kind, Ref, Seen, ref_of, seen_of
from knarr.agent.observe import Observer
from knarr.agent.ports import As, Reading
from knarr.agent.records import Record
from knarr.agent.survey import Survey
from knarr.bundle.canonical import Object
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.names import ObjectId

_ASK_ONE_BY_ONE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """`live` is complete for all kinds but those in `unread`."""

    live: dict[ObjectId, Seen]
    unread: dict[Kind, KnarrError]


class Gatherer:
    """One per agent."""

    def __init__(self, cluster: Reading, observer: Observer, survey: Survey) -> None:
        self._cluster = cluster
        self._observer = observer
        self._survey = survey

    async def watch(self, kinds: Iterable[Kind]) -> dict[Kind, KnarrError]:
        """Has the kinds that are served watched; what of them cannot be."""
        served = [kind for kind in sorted(set(kinds), key=str) if await self._cluster.serves(kind)]
        return await self._observer.ensure(served)

    async def gather(self, record: Record, objects: tuple[Object, ...], who: As) -> Gathered:
        """What is live of the app's objects, old and new."""
        refs = {ref.id: ref for ref in (ref_of(o) for o in objects)}
        refs |= {i: ref_to(i, e) for i, e in record.entries.items() if i not in refs}
        unread = await self.watch(ref.of_kind for ref in refs.values())
        live: dict[ObjectId, Seen] = {}
        missing: dict[Kind, list[Ref]] = {}
        for identity, ref in refs.items():
            if (seen := self._observer.seen(identity)) is not None:
                live[identity] = seen
            elif ref.of_kind not in unread and await self._cluster.serves(ref.of_kind):
                missing.setdefault(ref.of_kind, []).append(ref)
        for kind, wanted in missing.items():
            try:
                live |= await self._existing(record, wanted, who)
            except KnarrError as error:
                unread[kind] = error
        return Gathered(live=live, unread=unread)

    async def _existing(self, record: Record, wanted: list[Ref], who: As) -> dict[ObjectId, Seen]:
        vanished = [r for r in wanted if (e := record.entries.get(r.id)) is not None and e.uid]
        if len(vanished) > _ASK_ONE_BY_ONE:
            self._survey.forget()
            return await self._survey.existing(wanted, who)
        asked = await asyncio.gather(*(self._ask(ref, who) for ref in vanished))
        found = {ref.id: seen for ref, seen in zip(vanished, asked, strict=True) if seen is not None}
        gone = {ref.id for ref in vanished}
        return found | await self._survey.existing([r for r in wanted if r.id not in gone], who)

    async def _ask(self, ref: Ref, who: As) -> Seen | None:
        found = await self._cluster.get(ref, metadata_only=True, who=who)
        return seen_of(found, ref.of_kind) if found is not None else None
