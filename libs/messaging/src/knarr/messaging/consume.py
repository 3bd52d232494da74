"""Durable consuming: one message, one span, one canonical log event, one outcome.

The handler's effect comes before the ack, so every handler must bear to see a message twice. Retryable → asked again
with back-off; Rejected → dead letter, with its number; anything else → asked again a few times, then dead letter. What
cannot be handled never blocks what follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import nats.errors
import nats.js.errors
import structlog
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from knarr.messaging.broker import Broker
from knarr.messaging.envelope import MAX_PLAIN_BYTES, from_wire
from knarr.messaging.streams import FOREIGN_PLAIN
from knarr.messaging.subjects import dead_letter_subject
from knarr.messaging.tracing import TRACER, extract
from knarr.pipeline.decision import DeadLetter
from knarr.pipeline.errors import KnarrError, Retryable, failure_of
from knarr.pipeline.failure import Failure
from knarr.service.waiting import end_if_cancelled

LOG = structlog.get_logger("knarr.consume")
_FETCH_SECONDS = 2.0
_BUG_DELIVERIES = 5
_DEAD_LETTER_BYTES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What to consume: a stream, a durable name shared by all replicas, subject filters and the kinds expected."""

    stream: str
    durable: str
    filters: tuple[str, ...]
    kinds: tuple[type, ...]
    service: str
    stage: str = ""  # the name of the span of one message; by default "<service> process"
    batch: int = 64
    ack_wait_seconds: float = 60.0
    newest_first_delivery: bool = False  # start from the newest per subject instead of all
    quiet: bool = False  # successes are not worth a log event each (reports); failures always are


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A decoded message. `sequence` and `stored_at` (Unix seconds) are the broker's."""

    value: Any
    subject: str
    sequence: int
    deliveries: int
    stored_at: float
    pending: int
    headers: dict[str, str]


Handler = Callable[[Received], Awaitable[None]]
BatchHandler = Callable[[list[Received]], Awaitable[None]]
_MessagesHandler = Callable[[list[Msg]], Awaitable[None]]


async def consume(broker: Broker, what: Subscription, handle: Handler) -> None:
    """Runs until cancelled. Messages are handled one after the other, in stream order."""

    async def each(messages: list[Msg]) -> None:
        for message in messages:
            await _handle(broker, what, handle, message)

    await _consume_for_ever(broker, what, each)


async def consume_batches(broker: Broker, what: Subscription, handle: BatchHandler) -> None:
    """As `consume`, a fetched batch at a time. Messages that cannot be decoded go to the dead letters one by one;
    when the handler fails, all of the batch is asked for again."""

    async def together(messages: list[Msg]) -> None:
        decoded: list[tuple[Msg, Received]] = []
        for message in messages:
            try:
                decoded.append((message, received(what, message)))
            except KnarrError as error:
                await settle(broker, what, message, "rejected", failure_of(error))
        outcome, failure = await _judged(handle([r for _, r in decoded]), what, deliveries=1)
        for message, _ in decoded:
            await settle(broker, what, message, "retry" if outcome == "rejected" else outcome, failure)
        if failure is not None:
            LOG.warning("batch not handled", stream=what.stream, code=failure.code, error=failure.message)

    await _consume_for_ever(broker, what, together)


async def _consume_for_ever(broker: Broker, what: Subscription, handle: _MessagesHandler) -> None:
    while True:
        try:
            await broker.wait_connected(30.0)
            await _consume_once(broker, what, handle)
        except (KnarrError, nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
            LOG.warning(
                "consuming interrupted",
                stream=what.stream,
                durable=what.durable,
                error=f"{type(error).__name__} {error}"[:200],
            )
            await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311


async def _consume_once(broker: Broker, what: Subscription, handle: _MessagesHandler) -> None:
    await ensure_consumer(broker, what)
    subscription = await broker.jetstream().pull_subscribe_bind(consumer=what.durable, stream=what.stream)
    try:
        while True:
            try:
                messages = await subscription.fetch(what.batch, timeout=_FETCH_SECONDS)
            except TimeoutError:  # nats-py raises its own subclass, or this
                if not broker.connected:
                    return
                await broker.jetstream().consumer_info(what.stream, what.durable)
                continue
            finally:
                end_if_cancelled()
            await handle(messages)
            end_if_cancelled()  # handlers wait through asyncpg and nats-py, which can swallow it too
    finally:
        with contextlib.suppress(nats.errors.Error, OSError):
            await subscription.unsubscribe()


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
    """Decodes one message. KNR7001 when it is not of an expected kind."""
    meta = message.metadata
    headers = dict(message.headers or {})
    return Received(
        value=from_wire(what.kinds, message.data, headers, most=FOREIGN_PLAIN.get(what.stream, MAX_PLAIN_BYTES)),
        subject=message.subject,
        sequence=meta.sequence.stream,
        deliveries=meta.num_delivered or 1,
        stored_at=meta.timestamp.timestamp(),
        pending=meta.num_pending,
        headers=headers,
    )


async def _handle(broker: Broker, what: Subscription, handle: Handler, message: Msg) -> None:
    started = time.monotonic()
    with TRACER.start_as_current_span(
        what.stage or f"{what.service} process", context=extract(message.headers)
    ) as span:
        span.set_attribute("messaging.system", "nats")
        span.set_attribute("messaging.destination.name", message.subject)
        outcome, failure = await _outcome(what, handle, message)
        span.set_attribute("knarr.outcome", outcome)
        if failure is not None:
            span.set_attribute("error.type", failure.code)
        await settle(broker, what, message, outcome, failure)
        if what.quiet and failure is None:
            return
        LOG.info(
            "message handled",
            subject=message.subject,
            sequence=message.metadata.sequence.stream,
            outcome=outcome,
            code=failure.code if failure else None,
            error=failure.message if failure else None,
            seconds=round(time.monotonic() - started, 4),
        )


async def _outcome(what: Subscription, handle: Handler, message: Msg) -> tuple[str, Failure | None]:
    async def attempt() -> None:
        async with asyncio.timeout(what.ack_wait_seconds * 10), _keeping(message, what.ack_wait_seconds):
            await handle(received(what, message))

    return await _judged(attempt(), what, deliveries=message.metadata.num_delivered or 1)


async def _judged(attempt: Awaitable[None], what: Subscription, *, deliveries: int) -> tuple[str, Failure | None]:
    """The one place that maps an error to done, retry or rejected."""
    try:
        await attempt
    except Retryable as error:
        return "retry", failure_of(error)
    except KnarrError as error:
        return "rejected", failure_of(error)
    except Exception as error:
        LOG.exception("message handling failed", stream=what.stream, durable=what.durable)
        if isinstance(error, ExceptionGroup) and (task := asyncio.current_task()) is not None:
            task.uncancel()  # what a TaskGroup of Python 3.11 leaves when a child fails while it ends
        failure = Failure(code="KNR7020", message=f"{type(error).__name__} while handling the message")
        return ("rejected" if deliveries >= _BUG_DELIVERIES else "retry"), failure
    return "done", None


@contextlib.asynccontextmanager
async def _keeping(message: Msg, ack_wait: float) -> Any:
    """Tells the server that the work goes on, as long as it does."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(ack_wait / 3)
            with contextlib.suppress(nats.errors.Error, OSError):
                await message.in_progress()

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()


async def settle(broker: Broker, what: Subscription, message: Msg, outcome: str, failure: Failure | None) -> None:
    """Acks, naks or terminates; a rejected message goes to the dead letters first."""
    if outcome == "done":
        await message.ack()
        return
    if outcome == "retry":
        deliveries = message.metadata.num_delivered or 1
        await message.nak(delay=min(30.0, 0.25 * 2 ** min(deliveries, 7)) * random.uniform(0.7, 1.3))  # noqa: S311
        return
    meta = message.metadata
    letter = DeadLetter(
        subject=message.subject,
        stream=meta.stream,
        sequence=meta.sequence.stream,
        service=what.service,
        failure=failure,
        payload=message.data[:_DEAD_LETTER_BYTES],
        at_ms=int(time.time() * 1000),
    )
    await broker.publish(dead_letter_subject(what.service), letter)
    await message.term()


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
