"""Keeps one stream's consumer running: fetch, record, settle; and opens it again when broker or stream was lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import structlog
from opentelemetry.trace import Link

from knarr.messaging.broker import Broker
from knarr.messaging.consume import Subscription
from knarr.messaging.tracing import TRACER, link_to
from knarr.pipeline.errors import Retryable
from knarr.service.waiting import end_if_cancelled
from knarr.status import metrics
from knarr.status.adapters.nats import Batch, Consuming
from knarr.status.ports import Message, Outcome

LOG = structlog.get_logger("knarr.status.consume")
_MOST_LINKS = 32
Record = Callable[[Sequence[Message]], Awaitable[Sequence[Outcome]]]


class Hearing:
    """When each stream was last read with success, on the monotonic clock: what readiness and the page go by."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}

    def heard(self, stream: str) -> None:
        """Read just now."""
        self._heard[stream] = time.monotonic()

    def deaf_seconds(self) -> float:
        """How long ago the stream was read that was read longest ago."""
        now = time.monotonic()
        return max((now - at for at in self._heard.values()), default=0.0)

    def expect(self, stream: str) -> None:
        """Counts from now on."""
        self._heard.setdefault(stream, time.monotonic())


async def consume_batches(broker: Broker, what: Subscription, record: Record, hearing: Hearing) -> None:
    """Runs until cancelled."""
    attempt = 0
    hearing.expect(what.stream)
    while True:
        end_if_cancelled()
        try:
            await broker.wait_connected(30.0)
            consuming = Consuming(broker, what)
            async with aclosing(consuming.batches()) as batches:
                async for batch in batches:
                    attempt = 0
                    await _handle(consuming, what.stream, record, batch)
                    hearing.heard(what.stream)
        except Retryable as error:
            attempt += 1
            LOG.warning("consuming interrupted", stream=what.stream, code=error.code, error=error.message)
            await pause(attempt)


async def _handle(consuming: Consuming, stream: str, record: Record, batch: Batch) -> None:
    metrics.PENDING.labels(stream).set(batch.pending)
    if not batch.messages:
        return
    started = time.monotonic()
    with TRACER.start_as_current_span(f"status record {stream}", links=_commits(batch)) as span:
        span.set_attribute("messaging.batch.message_count", len(batch.messages))
        outcomes = await record(batch.messages)
        counts = await _settle(consuming, stream, batch, outcomes)
    seconds = time.monotonic() - started
    metrics.BATCH_SECONDS.labels(stream).observe(seconds)
    lag = max(0.0, time.time() - batch.messages[-1].stored_at_ms / 1000)
    metrics.LAG_SECONDS.labels(stream).set(lag)
    LOG.info(
        "batch recorded", stream=stream, pending=batch.pending, seconds=round(seconds, 4), lag=round(lag, 3), **counts
    )


def _commits(batch: Batch) -> tuple[Link, ...]:
    """The traces that the messages come from, a few at most: a batch is no part of any one of them."""
    contexts = {m.headers["traceparent"] for m in batch.raw if m.headers and "traceparent" in m.headers}
    return tuple(link for traceparent in sorted(contexts)[:_MOST_LINKS] for link in link_to(traceparent))


async def _settle(consuming: Consuming, stream: str, batch: Batch, outcomes: Sequence[Outcome]) -> dict[str, int]:
    counts = {"done": 0, "retry": 0, "rejected": 0}
    again: Retryable | None = None
    for message, raw, outcome in zip(batch.messages, batch.raw, outcomes, strict=True):
        if outcome is None:
            await consuming.done(raw)
            word = "done"
        elif isinstance(outcome, Retryable):
            await consuming.again(raw, 1.0)
            word, again = "retry", outcome
        else:
            LOG.warning("message rejected", subject=message.subject, code=outcome.code, error=outcome.message)
            await consuming.dead(raw, outcome)
            word = "rejected"
        counts[word] += 1
        metrics.MESSAGES.labels(stream, word).inc()
    if again is not None:
        LOG.warning("recording interrupted", stream=stream, code=again.code, error=again.message)
        await pause(3)
    return counts


async def pause(attempt: int) -> None:
    """Back-off between attempts: jittered, at most ten seconds."""
    await asyncio.sleep(min(10.0, 0.2 * 2 ** min(attempt, 6)) * random.uniform(0.5, 1.0))  # noqa: S311
