"""Gathering what a plan depends on: what is live of bundle and inventory, whatever it takes to know.

Reads only. What could not be read is named per kind, and its objects are left out of the plan: never taken for absent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from knarr.agent.core.ignored import pointers_for
from knarr.agent.core.inventory import content_of, is_settled, ref_to
from knarr.agent.core.objects import Kind, Ref, Seen, ref_of, seen_of
from knarr.agent.observe import Observer
from knarr.agent.ports import As, Reading
from knarr.agent.records import Record
from knarr.agent.survey import Survey
from knarr.bundle.canonical import Object
from knarr.bundle.header import Header
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.names import ObjectId

_ASK_ONE_BY_ONE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """`live` is complete for all kinds but those in `unread`. `metadata`: of what the app ignores fields of."""

    live: dict[ObjectId, Seen]
    unread: dict[Kind, KnarrError]
    metadata: dict[ObjectId, Mapping[str, Any]] = field(default_factory=dict)


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

    async def gather(self, record: Record, header: Header, objects: tuple[Object, ...], who: As) -> Gathered:
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
        gathered = Gathered(live=live, unread=unread)
        await self._read_fields(gathered, record, header, objects, who)
        return gathered

    async def _read_fields(
        self, gathered: Gathered, record: Record, header: Header, objects: tuple[Object, ...], who: As
    ) -> None:
        """Who owns which field, where the app ignores some and the object is not as it was applied."""
        for manifest in objects if header.ignored_fields else ():
            ref = ref_of(manifest)
            seen, entry = gathered.live.get(ref.id), record.entries.get(ref.id)
            if seen is None or not pointers_for(header, ref):
                continue
            if entry is not None and is_settled(entry, content_of(manifest), seen):
                continue
            try:
                found = await self._cluster.get(ref, metadata_only=True, who=who)
            except KnarrError as error:
                gathered.unread[ref.of_kind] = error
                continue
            if found is not None:
                gathered.metadata[ref.id] = found.get("metadata") or {}

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
