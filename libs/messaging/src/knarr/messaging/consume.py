"""Durable consuming: one loop for every service; one message or one batch, one span, one outcome.

The handler's effect comes before the ack, so every handler must bear to see a message twice. Retryable → asked again
with back-off; Rejected → dead letter, with its number; anything else → asked again a few times, then dead letter. What
cannot be handled never blocks what follows, and a batch is bisected until it is alone (batching.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import nats.errors
import nats.js.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from opentelemetry.trace import Link

from knarr.messaging import batching
from knarr.messaging.attempt import Outcome, attempt
from knarr.messaging.batching import TRIES, BatchHandler, Batching, Handled, Received
from knarr.messaging.broker import Broker
from knarr.messaging.settling import Settling, deliveries
from knarr.messaging.tracing import TRACER, extract, link_to
from knarr.pipeline.errors import KnarrError, retryable
from knarr.pipeline.failure import Failure
from knarr.service.waiting import end_if_cancelled

__all__ = [
    "Handled",
    "Outcome",
    "Received",
    "Subscription",
    "Watch",
    "consume",
    "consume_batches",
    "ensure_consumer",
    "newest_of_all",
    "received",
    "stream_created",
]

LOG = structlog.get_logger("knarr.consume")
_FETCH_SECONDS = 2.0
_MOST_LINKS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What to consume: a stream, a durable name shared by all replicas, subject filters and the kinds expected."""

    stream: str
    durable: str
    filters: tuple[str, ...]
    kinds: tuple[type, ...]
    service: str
    stage: str = ""  # the name of the span: of one message "<service> process" by default, of a batch none
    batch: int = 64
    ack_wait_seconds: float = 60.0
    newest_first_delivery: bool = False  # start from the newest per subject instead of all
    quiet: bool = False  # successes are not worth a log event each (reports); failures always are
    positions: bool = False  # tell with each message when its stream was made: a stream made anew counts from 1

    @property
    def seconds(self) -> float:
        """How long one attempt may take; the server is told meanwhile that the work goes on."""
        return self.ack_wait_seconds * 10


class Watch(Protocol):
    """Who wants to know how the consuming goes."""

    def looked(self, stream: str, pending: int) -> None:
        """The stream was read, if only to find nothing; so many messages wait behind what was read."""

    def settled(self, stream: str, handled: Handled) -> None:
        """A fetched batch is settled."""


class _Nobody:
    def looked(self, stream: str, pending: int) -> None:
        pass

    def settled(self, stream: str, handled: Handled) -> None:
        pass


Handler = Callable[[Received], Awaitable[None]]
# Handles and settles what was fetched; whether the world was not ready, so that it is better to wait a little.
_Work = Callable[[Settling, Sequence[Msg], int], Awaitable[bool]]


async def consume(broker: Broker, what: Subscription, handle: Handler) -> None:
    """Runs until cancelled. Messages are handled one after the other, in stream order."""

    async def each(settling: Settling, messages: Sequence[Msg], created: int) -> bool:
        for message in messages:
            await _handle(settling, what, handle, message, created)
            end_if_cancelled()  # handlers wait through asyncpg and nats-py, which can swallow it
        return False

    await _consume_for_ever(broker, what, each, _Nobody())


async def consume_batches(broker: Broker, what: Subscription, handle: BatchHandler, watch: Watch | None = None) -> None:
    """As `consume`, a fetched batch at a time (or a part of it: see batching.py). Retryable: all of it again."""
    watching = watch or _Nobody()
    made: list[Batching] = []

    async def together(settling: Settling, messages: Sequence[Msg], created: int) -> bool:
        if not made:
            made.append(Batching(what.stream, what.kinds, settling, handle, what.seconds))
        started = time.monotonic()
        with _span_of(what, messages):
            counts = await made[0](messages, created)
        told = batching.handled(counts, started, messages[-1])
        watching.settled(what.stream, told)
        if not what.quiet:
            words = {outcome.value: count for outcome, count in counts.items()}
            LOG.info(
                "batch handled", stream=what.stream, seconds=round(told.seconds, 4), lag=round(told.lag, 3), **words
            )
        return counts[Outcome.AGAIN] > 0 and counts[Outcome.DONE] == 0

    try:
        await _consume_for_ever(broker, what, together, watching)
    finally:
        for batches in made:
            batches.close()


def _span_of(what: Subscription, messages: Sequence[Msg]) -> contextlib.AbstractContextManager[object]:
    """A batch is no part of any one trace: its span links to those that the messages come from, a few at most."""
    if not what.stage:
        return contextlib.nullcontext()
    contexts = {m.headers["traceparent"] for m in messages if m.headers and "traceparent" in m.headers}
    links: list[Link] = [link for traceparent in sorted(contexts)[:_MOST_LINKS] for link in link_to(traceparent)]
    attributes = {"messaging.batch.message_count": len(messages)}
    return TRACER.start_as_current_span(what.stage, links=links, attributes=attributes)


async def _consume_for_ever(broker: Broker, what: Subscription, work: _Work, watch: Watch) -> None:
    settling = Settling(broker, what.service, what.stream, what.ack_wait_seconds)
    while True:
        end_if_cancelled()
        try:
            await broker.wait_connected(30.0)
            await _consume_once(broker, what, settling, work, watch)
        except (KnarrError, nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
            LOG.warning(
                "consuming interrupted",
                stream=what.stream,
                durable=what.durable,
                error=f"{type(error).__name__} {error}"[:200],
            )
            await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311


async def _consume_once(broker: Broker, what: Subscription, settling: Settling, work: _Work, watch: Watch) -> None:
    await ensure_consumer(broker, what)
    subscription = await broker.jetstream().pull_subscribe_bind(consumer=what.durable, stream=what.stream)
    failures = 0
    try:
        created = await stream_created(broker, what.stream) if what.positions else 0
        while True:
            messages: list[Msg] = []
            try:
                messages = await subscription.fetch(what.batch, timeout=_FETCH_SECONDS)
            except TimeoutError:  # nats-py raises its own subclass, or this
                if not broker.connected:
                    return
                await broker.jetstream().consumer_info(what.stream, what.durable)
            end_if_cancelled()
            if what.positions and await stream_created(broker, what.stream) != created:
                raise retryable("KNR5006", f"stream {what.stream} was made anew")
            await settling.tell_owed()
            watch.looked(what.stream, messages[-1].metadata.num_pending if messages else 0)
            if not messages:
                continue
            async with settling.keeping(messages):
                unready = await work(settling, messages, created)
            end_if_cancelled()  # what waits through asyncpg and nats-py can swallow it too
            failures = min(6, failures + 1) if unready else 0
            if failures:
                await asyncio.sleep(min(10.0, 0.2 * 2**failures) * random.uniform(0.5, 1.0))  # noqa: S311
    finally:
        with contextlib.suppress(nats.errors.Error, OSError):
            await subscription.unsubscribe()


async def stream_created(broker: Broker, stream: str) -> int:
    """When the stream was made, in ns since 1970. KNR5006 when it does not exist, KNR7011 when nobody answers."""
    try:
        info = await broker.jetstream().stream_info(stream)
    except nats.js.errors.NotFoundError as error:
        raise retryable("KNR5006", f"stream {stream} is missing") from error
    except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
        raise retryable("KNR7011", f"{stream}: {type(error).__name__}") from error
    made: object = info.created
    if not isinstance(made, datetime):
        raise retryable("KNR7011", "the broker does not say when a stream was made")
    moment = made if made.tzinfo else made.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000) * 1000


async def ensure_consumer(broker: Broker, what: Subscription) -> None:
    """Makes the durable consumer unless it is there; also after its stream was made anew."""
    await broker.jetstream().add_consumer(
        what.stream,
        ConsumerConfig(
            name=what.durable,
            durable_name=what.durable,
            filter_subjects=list(what.filters),
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=what.ack_wait_seconds,
            deliver_policy=DeliverPolicy.LAST_PER_SUBJECT if what.newest_first_delivery else DeliverPolicy.ALL,
            max_ack_pending=1_000,
        ),
    )


def received(what: Subscription, message: Msg) -> Received:
    """Opens one message. Numbered refusals as of `foreign.opened`."""
    return batching.received(what.stream, what.kinds, message)[0]


async def _handle(settling: Settling, what: Subscription, handle: Handler, message: Msg, created: int) -> None:
    started = time.monotonic()
    with TRACER.start_as_current_span(
        what.stage or f"{what.service} process", context=extract(message.headers)
    ) as span:
        span.set_attribute("messaging.system", "nats")
        span.set_attribute("messaging.destination.name", message.subject)

        async def work() -> None:
            await handle(batching.received(what.stream, what.kinds, message, created=created)[0])

        outcome, failure = await attempt(work, what.seconds)
        span.set_attribute("knarr.outcome", outcome.value)
        if failure is not None:
            span.set_attribute("error.type", failure.code)
        await _settle(settling, message, outcome, failure)
        if what.quiet and failure is None:
            return
        LOG.info(
            "message handled",
            subject=message.subject,
            sequence=message.metadata.sequence.stream,
            outcome=outcome.value,
            code=failure.code if failure else None,
            error=failure.message if failure else None,
            seconds=round(time.monotonic() - started, 4),
        )


async def _settle(settling: Settling, message: Msg, outcome: Outcome, failure: Failure | None) -> None:
    if outcome is Outcome.DONE:
        await settling.done(message)
    elif outcome is Outcome.AGAIN or (outcome is Outcome.FAILED and deliveries(message) < TRIES):
        await settling.again(message)
    else:
        await settling.dead(message, failure or Failure(code="KNR7020"))


async def newest_of_all(
    broker: Broker, stream: str, subject_filter: str, kind: type, *, after: int = 0
) -> list[Received]:
    """The newest message of every subject that the filter matches, at this moment. Undecodable ones are left out.

    `after`: only of a stream that keeps one message a subject: those stored after this sequence.
    """
    js = broker.jetstream()
    info = await js.add_consumer(
        stream,
        ConsumerConfig(
            filter_subjects=[subject_filter],
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE if after else DeliverPolicy.LAST_PER_SUBJECT,
            opt_start_seq=after + 1 if after else None,
            inactive_threshold=30.0,
            mem_storage=True,
            name=f"read-{random.getrandbits(64):x}",
        ),
    )
    what = Subscription(stream=stream, durable=info.name, filters=(subject_filter,), kinds=(kind,), service="read")
    found: list[Received] = []
    pending = info.num_pending or 0
    subscription = await js.pull_subscribe_bind(consumer=info.name, stream=stream)
    try:
        while pending > 0:
            for message in await subscription.fetch(min(500, pending), timeout=5):
                pending = message.metadata.num_pending
                with contextlib.suppress(KnarrError):
                    found.append(received(what, message))
    finally:
        with contextlib.suppress(nats.errors.Error, nats.js.errors.Error, OSError):
            await subscription.unsubscribe()
            await js.delete_consumer(stream, info.name)
    return found
