"""From a hint to a verified assignment: look, re-read until it is as new as the hint said, verify, hand on.

A hint has no authority: it costs at most five re-reads, backed off, one series at a time. There is another look some
seconds after each connect, and a slow one for ever.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from nacl.public import PrivateKey

from knarr.agent.core.receive import Pinned, is_news, understood
from knarr.agent.ports import Delivered, Hint, Hub
from knarr.bundle.signing import open_body, verify_assignment
from knarr.pipeline.assignment import AssignmentBody, AssignmentHeader
from knarr.pipeline.errors import KnarrError, Rejected, failure_of
from knarr.pipeline.failure import Failure

LOG = structlog.get_logger("knarr.agent.receive")
REREADS = 5
_FIRST_PAUSE = 0.05
_AFTER_CONNECT = (5.0, 10.0)
_SLOW = (300.0, 600.0)
_NOT_KEPT = (2.0, 5.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A verified, opened and understood assignment, with the bytes it came in."""

    header: AssignmentHeader
    body: AssignmentBody
    data: bytes = field(repr=False)


Accept = Callable[[Opened], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Receiver:
    """`pinned` says whom we obey at this moment; `accept` makes a newer assignment durable and acts on it."""

    hub: Hub
    trusted: tuple[bytes, ...]
    private: PrivateKey
    pinned: Callable[[], Pinned]
    accept: Accept
    refused: Callable[[Failure | None], None]
    _last: tuple[int, int] = (-1, 0)

    async def run(self) -> None:
        """Until cancelled."""
        again = 0.0
        while True:
            hint = await self._next(again)
            again = random.uniform(*(_AFTER_CONNECT if hint is not None and not hint.sequence else _SLOW))  # noqa: S311
            if not await self._series(hint.sequence if hint else 0):
                again = random.uniform(*_NOT_KEPT)  # noqa: S311

    async def _next(self, within: float) -> Hint | None:
        try:
            async with asyncio.timeout(within):
                return await self.hub.next_hint()
        except TimeoutError:
            return None

    async def _series(self, at_least: int) -> bool:
        """Whether what was read could be kept; it is read again soon when the cluster's API server is away."""
        pause, kept = _FIRST_PAUSE, True
        for _ in range(REREADS):
            try:
                found = await self.hub.newest_assignment()
            except KnarrError as error:
                LOG.info("assignment not read", error=str(error))
            else:
                kept = found is None or await self._is_taken(found)
                if kept and (found.sequence if found else 0) >= at_least:
                    return True
            await asyncio.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311
            pause *= 3
        return kept

    async def _is_taken(self, found: Delivered) -> bool:
        try:
            await self._take(found)
        except KnarrError as error:
            LOG.warning("assignment not kept", code=error.code, error=error.message)
            self.refused(failure_of(error))
            return False
        return True

    async def _take(self, found: Delivered) -> None:
        key = (found.sequence, hash(found.data))
        if key == self._last:
            return
        try:
            opened = open_assignment(found.data, trusted=self.trusted, private=self.private, pinned=self.pinned())
        except Rejected as error:
            self._last = key
            LOG.warning("assignment refused", code=error.code, error=error.message)
            self.refused(failure_of(error))
            return
        if opened is not None:
            await self.accept(opened)
        self._last = key
        self.refused(None)


def open_assignment(data: bytes, *, trusted: tuple[bytes, ...], private: PrivateKey, pinned: Pinned) -> Opened | None:
    """The assignment in `data`; None when it is the one that is known already. A numbered Rejected otherwise."""
    header, sealed = verify_assignment(data, trusted=trusted)
    if not is_news(header, pinned):
        return None
    body = understood(open_body(header, sealed, private=private))
    return Opened(header=header, body=body, data=data)
