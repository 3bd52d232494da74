"""Reports on apps that neither Git nor rollout knows: shown once the app is known, sent away after a while.

A report may be here before the decision that it answers; it is then read again from the stream, where the newest one
lies. What nobody knows after the grace is some agent's invention: its subjects are purged, and the cluster's event says
so. The harm of a cluster that invents names is its own (I5).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from knarr.pipeline.errors import KnarrError, Rejected
from knarr.service.waiting import end_if_cancelled
from knarr.status.core.events import unknown_apps_event
from knarr.status.ports import Message, Overdue, ReportStream, StrangerStore
from knarr.status.record import Clock, now_ms

LOG = structlog.get_logger("knarr.status.strangers")
_AT_ONCE = 200
_CLUSTERS_AT_ONCE = 20
# Of one cluster at one look: a second of the broker's time or two.
_SUBJECTS_AT_ONCE = 2_000
_SIDE_BY_SIDE = 32
# Beyond it one purge takes them all, and what the cluster said of known apps with them.
_MOST_SUBJECTS = 20_000
Record = Callable[[Sequence[Message]], Awaitable[None]]


def _can_be_named(app: str) -> bool:
    """Whether a purge can name exactly this subject: what is no ASCII was no text, and is told to us otherwise."""
    return app.isascii() and app.isprintable() and not set(app) & set("*> ")


class Strangers:
    """`look` may be called from anywhere, when apps may have become known; a slow beat covers what was missed."""

    def __init__(
        self, store: StrangerStore, stream: ReportStream, record: Record, grace_seconds: float, clock: Clock = now_ms
    ) -> None:
        self._store = store
        self._stream = stream
        self._record = record
        self._grace_ms = int(grace_seconds * 1000)
        self._clock = clock
        self._look = asyncio.Event()

    def look(self) -> None:
        """Some may be strangers no longer."""
        self._look.set()

    async def welcome(self) -> int:
        """Records the newest report of each app that is known by now; how many."""
        found = await self._store.known_strangers(_AT_ONCE)
        for cluster, app in found:
            await self._record_newest(cluster, app)
            await self._store.forget(cluster, app)
        return len(found)

    async def send_away(self) -> int:
        """Purges the subjects of apps that nobody has known for the grace; how many."""
        count = 0
        for overdue in await self._store.overdue(self._clock() - self._grace_ms, _CLUSTERS_AT_ONCE):
            count += await self._purge(overdue)
        return count

    async def _read_again(self, cluster: str, apps: frozenset[str]) -> None:
        """What the cluster said last of apps that are known: among what was dropped unread may have been that."""
        for app in sorted(apps)[:_SUBJECTS_AT_ONCE]:
            await self._record_newest(cluster, app)

    async def _record_newest(self, cluster: str, app: str) -> None:
        try:
            message = await self._stream.newest_report(cluster, app)
            if message is not None:
                await self._record([message])
        except Rejected as error:
            LOG.warning("report not taken", cluster=cluster, app=app, code=error.code, error=error.message)

    async def _purge(self, overdue: Overdue) -> int:
        names, last = await self._stream.apps_reported(overdue.cluster)
        overdue = replace(overdue, sequence=min(overdue.sequence, last))
        unknown = sorted(names - await self._store.known_apps(names))
        turns = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def purge(app: str) -> None:
            async with turns:
                await self._stream.purge_report(overdue.cluster, app, overdue.sequence)

        if len(unknown) > _MOST_SUBJECTS or not all(map(_can_be_named, unknown)):
            # So many, or names that no request can name: all that the cluster said of any app goes, if it was read.
            if not await self._stream.purge_reports_if_read(overdue.cluster, overdue.sequence):
                return 0
            now = unknown
        else:
            now = unknown[:_SUBJECTS_AT_ONCE]
            await asyncio.gather(*(purge(app) for app in now))
        if len(now) == len(unknown):
            if overdue.more:
                await self._read_again(overdue.cluster, names - set(unknown))
            if not unknown:
                await self._store.sent_away(overdue, None)
                return 0
            told = unknown_apps_event(overdue.cluster, len(unknown), self._clock())
            await self._store.sent_away(overdue, told)
        LOG.warning("reports on unknown apps purged", cluster=overdue.cluster, subjects=len(now), of=len(unknown))
        return len(now)

    async def run(self, beat_seconds: float) -> None:
        """Until cancelled. What fails is tried again at the next beat."""
        while True:
            end_if_cancelled()
            self._look.clear()
            try:
                while await self.welcome():
                    pass
                await self.send_away()
            except KnarrError as error:
                LOG.warning("strangers not looked at", code=error.code, error=error.message)
            try:
                async with asyncio.timeout(beat_seconds * random.uniform(0.8, 1.2)):  # noqa: S311
                    await self._look.wait()
            except TimeoutError:
                continue
