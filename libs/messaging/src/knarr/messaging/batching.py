"""Batches of messages: opened, handled together, bisected when they fail, settled one by one.

What others wrote is opened off the event loop, a bounded amount of it at a time, and of one sender for a bounded time.
A batch that fails with anything but a Retryable is handled in halves until the poison is alone: it goes to the dead
letters at once when it is rejected, after `TRIES` deliveries when the program fails on it; everybody else's messages
are handled and acknowledged. Handlers therefore bear to see a message twice, together with others and alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from nats.aio.msg import Msg

from knarr.messaging import metrics
from knarr.messaging.allowance import Spending
from knarr.messaging.attempt import Outcome, attempt
from knarr.messaging.foreign import FOREIGN, opened, sender_of
from knarr.messaging.settling import Settling, deliveries
from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure

LOG = structlog.get_logger("knarr.consume")
TRIES = 5
# A batch is handled in parts that unfold to so much: honest batches are one part.
_PART_BYTES = 2_000_000
_SUSPECTS = 1_000
# Of a processor, in a minute, for opening what one cluster sends: a thousand honest reports take a third of one.
_SENDER_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A decoded message. `sequence` and `stored_at` (Unix seconds) are the broker's.

    `stream_created`: when the stream was made, ns since 1970; 0 unless the subscription asks for `positions`.
    """

    value: Any
    subject: str
    sequence: int
    deliveries: int
    stored_at: float
    pending: int
    headers: dict[str, str]
    stream_created: int = 0


BatchHandler = Callable[[list[Received]], Awaitable[None]]
_Pair = tuple[Msg, Received]


def received(stream: str, kinds: tuple[type, ...], message: Msg, *, created: int = 0) -> tuple[Received, int]:
    """One message, opened, and its bytes unfolded. Numbered refusals as of `foreign.opened`."""
    meta = message.metadata
    headers = dict(message.headers or {})
    value, size = opened(stream, kinds, message.subject, message.data, headers)
    found = Received(
        value=value,
        subject=message.subject,
        sequence=meta.sequence.stream,
        deliveries=meta.num_delivered or 1,
        stored_at=meta.timestamp.timestamp(),
        pending=meta.num_pending,
        headers=headers,
        stream_created=created,
    )
    return found, size


class Batching:
    """One per consumer; `seconds` is the deadline of one attempt. Call it with each fetched batch."""

    def __init__(
        self, stream: str, kinds: tuple[type, ...], settling: Settling, handle: BatchHandler, seconds: float
    ) -> None:
        self._stream, self._kinds, self._seconds = stream, kinds, seconds
        self._settling, self._handle = settling, handle
        self._suspects: dict[int, None] = {}
        self._spending = Spending(_SENDER_SECONDS, 60.0)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="open") if stream in FOREIGN else None
        self.counts = dict.fromkeys(Outcome, 0)

    def close(self) -> None:
        """Ends the thread that opens foreign messages."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, messages: Sequence[Msg], created: int = 0) -> dict[Outcome, int]:
        """Handles and settles all of them; how many ended how. An error is of the broker, and ends the consuming."""
        self.counts = dict.fromkeys(Outcome, 0)
        place = 0
        while place < len(messages):
            place = await self._part(messages, place, created)
        return self.counts

    async def _part(self, messages: Sequence[Msg], place: int, created: int) -> int:
        part: list[_Pair] = []
        for message, found in await self._opened(messages, place, created):
            place += 1
            if isinstance(found, Failure):
                await self._bury(message, found, Outcome.REJECTED)
            else:
                part.append((message, found))
        alone = [pair for pair in part if pair[1].sequence in self._suspects]
        await self._settle([pair for pair in part if pair[1].sequence not in self._suspects])
        for pair in alone:
            await self._settle([pair])
        return place

    async def _opened(self, messages: Sequence[Msg], place: int, created: int) -> list[tuple[Msg, Received | Failure]]:
        """As many as one part takes, at least one."""
        if self._pool is None:
            return self._open(messages, place, created)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._open, messages, place, created)

    def _open(self, messages: Sequence[Msg], place: int, created: int) -> list[tuple[Msg, Received | Failure]]:
        found: list[tuple[Msg, Received | Failure]] = []
        size = 0
        for message in messages[place:]:
            opened_now, plain = self._open_one(message, created)
            found.append((message, opened_now))
            size += plain
            if size >= _PART_BYTES:
                break
        return found

    def _open_one(self, message: Msg, created: int) -> tuple[Received | Failure, int]:
        """One sender's messages cost what they cost, but not everybody's time."""
        sender, now = sender_of(self._stream, message.subject), time.monotonic()
        if sender and self._spending.is_spent(sender, now):
            words = f"{sender} has had its {_SENDER_SECONDS:g} s of this minute: its messages are not opened"
            return Failure(code="KNR7018", message=words), 0
        began = time.thread_time()
        try:
            return received(self._stream, self._kinds, message, created=created)
        except KnarrError as error:
            return failure_of(error), 0
        finally:
            if sender:
                self._spending.add(sender, time.thread_time() - began, now)

    async def _settle(self, batch: list[_Pair]) -> None:
        if not batch:
            return

        async def work() -> None:
            await self._handle([found for _, found in batch])

        outcome, failure = await attempt(work, self._seconds, alone=len(batch) == 1)
        if outcome in (Outcome.DONE, Outcome.AGAIN):
            await self._all(batch, outcome, failure)
        elif len(batch) > 1:
            metrics.BISECTED.labels(self._stream).inc()
            half = len(batch) // 2
            await self._settle(batch[:half])
            await self._settle(batch[half:])
        else:
            await self._bury(batch[0][0], failure or Failure(code="KNR7020"), outcome)

    async def _all(self, batch: list[_Pair], outcome: Outcome, failure: Failure | None) -> None:
        if failure is not None:
            LOG.warning("batch not handled", stream=self._stream, code=failure.code, error=failure.message)
        for message, found in batch:
            if outcome is Outcome.DONE:
                self._suspects.pop(found.sequence, None)
                await self._settling.done(message)
            else:
                await self._settling.again(message)
        self.counts[outcome] += len(batch)

    async def _bury(self, message: Msg, failure: Failure, outcome: Outcome) -> None:
        """The poison is alone: rejected at once, or after some tries when the program failed on it."""
        tried = deliveries(message)
        LOG.warning(
            "message rejected" if outcome is Outcome.REJECTED else "message failed",
            subject=message.subject[:200],
            code=failure.code,
            error=failure.message,
            tries=tried,
        )
        if outcome is Outcome.FAILED and tried < TRIES:
            self._suspect(message)
            await self._settling.again(message)
            self.counts[Outcome.AGAIN] += 1
            return
        self._suspects.pop(message.metadata.sequence.stream, None)
        buried = await self._settling.dead(message, failure)
        self.counts[Outcome.REJECTED if buried else Outcome.AGAIN] += 1

    def _suspect(self, message: Msg) -> None:
        """Asked for again, it is tried alone, and spoils no batch."""
        if len(self._suspects) >= _SUSPECTS:
            self._suspects.pop(next(iter(self._suspects)))
        self._suspects[message.metadata.sequence.stream] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What became of a fetched batch. `lag` is the age of its last message when it was settled, in seconds."""

    counts: dict[Outcome, int]
    seconds: float
    lag: float


def handled(counts: dict[Outcome, int], started: float, last: Msg) -> Handled:
    """Of a batch that began at `started` on the monotonic clock."""
    lag = max(0.0, time.time() - last.metadata.timestamp.timestamp())
    return Handled(counts=counts, seconds=time.monotonic() - started, lag=lag)
