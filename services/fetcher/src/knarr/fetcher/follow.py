"""Follows one source for as long as it is listed: looks, tells how it stands, waits, looks again.

Called by fleet.py, one task per source. Nothing that happens to one source touches another.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog

from knarr.fetcher.core.schedule import seconds_until_next_look
from knarr.fetcher.core.source import Source
from knarr.fetcher.core.standing import Standing, next_report
from knarr.fetcher.counters import FAILURES, FETCHES, LOOKS, PUBLISHED_BYTES, PUBLISHED_COMMITS
from knarr.fetcher.fetch import Fetched, fetch
from knarr.fetcher.ports import OpenRepository, Repository
from knarr.fetcher.snapshot import Parts
from knarr.pipeline.errors import KnarrError, bug, failure_of
from knarr.pipeline.failure import Failure
from knarr.service.waiting import end_if_cancelled

LOG = structlog.get_logger("knarr.fetcher")
_AUDIT_AGAIN_SECONDS = 5.0
_LOGIN_TROUBLE = ("KNR1004", "KNR1005", "KNR1023", "KNR1025")
AfterLook = Callable[[Repository, Fetched], Awaitable[Failure | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """Seconds between looks, and between checks that everything stored is still there."""

    poll_seconds: float = 30.0
    audit_seconds: float = 3600.0


class Follower:
    """One source. `run` ends only by being cancelled."""

    def __init__(
        self, source: Source, parts: Parts, open_repository: OpenRepository, rhythm: Rhythm, after_look: AfterLook
    ) -> None:
        self.source = source
        self._parts, self._open, self._rhythm, self._after_look = parts, open_repository, rhythm, after_look
        self._wake = asyncio.Event()
        self._failures = 0
        self._audit_at = self._audited_at = 0.0
        self.looked = False

    def wake(self) -> None:
        """Look now. Many calls before the look begins make one look."""
        self._wake.set()

    def audit(self) -> None:
        """Look now whether all that was published is still stored; at most once in some seconds."""
        if self._parts.now() >= self._audited_at + _AUDIT_AGAIN_SECONDS:
            self._audit_at = 0.0
            self.wake()

    async def run(self) -> None:
        """Looks for ever."""
        while True:
            async with AsyncExitStack() as stack:
                # Left when the credentials are wrong, so that renewed ones are read.
                await self._run_with(stack)

    async def _run_with(self, stack: AsyncExitStack) -> None:
        repository: Repository | None = None
        while True:
            self._wake.clear()
            code = ""
            try:
                if repository is None:
                    repository = await stack.enter_async_context(self._open(self.source))
                await self._look(repository)
                self._failures = 0
            except KnarrError as error:
                code = error.code
                await self._failed(error)
            except Exception:
                LOG.exception("look failed", source=self.source.name)
                await self._failed(bug("KNR1040", f"looking at {self.source.name} failed unexpectedly"))
            self.looked = True
            end_if_cancelled()
            await self._wait()
            if code in _LOGIN_TROUBLE:
                return

    async def _look(self, repository: Repository) -> None:
        LOOKS.inc()
        audit = self._parts.now() >= self._audit_at
        fetched = await fetch(self.source, repository, self._parts, audit=audit)
        if audit:
            self._audited_at = self._parts.now()
            self._audit_at = self._parts.now() + self._rhythm.audit_seconds
        FETCHES.inc(int(fetched.fetched))
        commit = fetched.snapshot.commit
        if fetched.published and commit is not None:
            PUBLISHED_COMMITS.inc()
            PUBLISHED_BYTES.inc(fetched.snapshot.published_bytes)
            LOG.info(
                "snapshot stored",
                source=self.source.name,
                commit=commit.sha,
                number=commit.number,
                files=fetched.snapshot.published_files,
                bytes=fetched.snapshot.published_bytes,
            )
        failure = await self._after_look(repository, fetched)
        await self.tell(Standing(source=self.source.name, reachable=True, failure=failure, commit=commit))

    async def _failed(self, error: KnarrError) -> None:
        self._failures += 1
        FAILURES.labels(code=error.code).inc()
        LOG.warning("look failed", source=self.source.name, code=error.code, error=error.message)
        if not error.code.startswith("KNR1"):
            return  # the broker's trouble is not the source's
        with contextlib.suppress(KnarrError):
            await self.tell(Standing(source=self.source.name, reachable=False, failure=failure_of(error)))

    async def tell(self, standing: Standing) -> None:
        """Publishes how the source stands, if that is news."""
        before = await self._parts.log.newest_report(standing.source)
        report = next_report(before, standing, int(self._parts.now() * 1000))
        if report is not None:
            await self._parts.log.report(report)

    async def _wait(self) -> None:
        interval = self.source.poll_seconds or self._rhythm.poll_seconds
        seconds = seconds_until_next_look(interval, self._failures, random.random())  # noqa: S311
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
