"""Tells what is recorded and not yet told: facts of clusters (FACTS) and transitions (EVENTS); purges and ages.

Facts go out when a cluster is first heard and when its UID, Kubernetes version, labels or capabilities change: the
renderer needs them, and rollout refuses to assign to a cluster that nobody enrolled. Changes of one cluster that follow
each other quickly are told together, when the while is over.
"""

from __future__ import annotations

import asyncio
import random

import structlog

from knarr.pipeline.errors import Rejected, Retryable
from knarr.service.waiting import end_if_cancelled
from knarr.status.core.freshness import Patience
from knarr.status.ports import Outbox, ReportStore, ReportStream, Teller
from knarr.status.record import Clock, now_ms

LOG = structlog.get_logger("knarr.status.tell")
_AT_ONCE = 200
_DAY_MS = 86_400_000


class Telling:
    """Empties the outbox. `look` may be called from anywhere; a slow beat covers what was missed.

    A cluster's facts are told at most once in `facts_seconds`: each change makes the renderer look at the whole fleet.
    """

    def __init__(
        self, outbox: Outbox, teller: Teller, facts_seconds: float, beat_seconds: float = 5.0, clock: Clock = now_ms
    ) -> None:
        self._outbox = outbox
        self._teller = teller
        self._facts_ms = int(facts_seconds * 1000)
        self._beat = min(beat_seconds, max(0.1, facts_seconds / 2))
        self._clock = clock
        self._look = asyncio.Event()

    def look(self) -> None:
        """There may be something to tell."""
        self._look.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            end_if_cancelled()
            self._look.clear()  # before looking: what is recorded from here on sets it again
            try:
                await self.check_facts()
                while await self.tell_once():
                    pass
            except Retryable as error:
                LOG.warning("telling interrupted", code=error.code, error=error.message)
                await asyncio.sleep(random.uniform(0.5, 2.0))  # noqa: S311
            try:
                async with asyncio.timeout(self._beat):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def tell_once(self) -> bool:
        """Tells what is there; whether there was anything."""
        now = self._clock()
        facts = await self._outbox.unpublished_facts(_AT_ONCE, now - self._facts_ms)
        for known in facts:
            await self._teller.tell_facts(known)
        if facts:
            await self._outbox.facts_published(facts, now)
            LOG.info("facts told", clusters=len(facts))
        events = await self._outbox.unpublished_events(_AT_ONCE)
        for row in events:
            await self._teller.tell_event(row)
        if events:
            await self._outbox.events_published([row.event_id for row in events])
        return bool(facts or events)

    async def check_facts(self) -> None:
        """Tells all facts again when the stream holds fewer than the database: it was lost or made anew."""
        if count := await self._outbox.republish_facts(await self._teller.facts_told()):
            LOG.warning("facts are told again", clusters=count)


class Housekeeping:
    """Silent clusters, purges of removed apps, and retention, on one slow beat."""

    def __init__(
        self,
        reports: ReportStore,
        stream: ReportStream,
        patience: Patience,
        retention_days: float,
        clock: Clock = now_ms,
    ) -> None:
        self._reports = reports
        self._stream = stream
        self._patience = patience
        self._retention_ms = int(retention_days * _DAY_MS)
        self._clock = clock

    async def silence(self) -> int:
        """Marks clusters that were not heard for too long."""
        now = self._clock()
        return await self._reports.silence(self._patience.silent_before_ms(now), now)

    async def purge(self) -> int:
        """Purges the report subjects of removed apps that every reader has read; how many."""
        count = 0
        for purge in await self._reports.pending_purges(_AT_ONCE):
            if await self._stream.purge_if_read(purge):
                await self._reports.purged(purge)
                count += 1
        return count

    async def forget(self) -> int:
        """Drops history that is older than the retention."""
        return await self._reports.forget_before(self._clock() - self._retention_ms)

    async def run(self, beat_seconds: float) -> None:
        """Until cancelled. What fails is tried again at the next beat."""
        beat = 0
        while True:
            end_if_cancelled()
            try:
                if newly := await self.silence():
                    LOG.warning("clusters fell silent", clusters=newly)
                await self.purge()
                if beat % 1000 == 0:
                    await self.forget()
            except (Retryable, Rejected) as error:
                LOG.warning("housekeeping interrupted", code=error.code, error=error.message)
            beat += 1
            await asyncio.sleep(beat_seconds * random.uniform(0.8, 1.2))  # noqa: S311
