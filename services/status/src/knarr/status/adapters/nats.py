"""JetStream: batches with positions, publishing, and purging (Teller, Plans, ReportStream).

One durable pull consumer per stream, shared by all replicas. A stream's creation time is read before and after each
fetch: only when both agree does the batch belong to one stream, and its sequences mean what they say.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from opentelemetry import trace

from knarr.messaging.broker import Broker
from knarr.messaging.consume import Subscription, ensure_consumer
from knarr.messaging.envelope import MAX_PLAIN_BYTES, from_wire, to_wire
from knarr.messaging.streams import FACTS, FOREIGN_PLAIN, REPORTS
from knarr.messaging.subjects import (
    command_subject,
    dead_letter_subject,
    event_subject,
    facts_subject,
    report_app_subject,
    report_plan_subject,
)
from knarr.messaging.tracing import extract
from knarr.pipeline.decision import Command, DeadLetter
from knarr.pipeline.errors import KnarrError, failure_of, retryable
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import PlanReport
from knarr.pipeline.revision import ClusterFacts
from knarr.service.waiting import end_if_cancelled
from knarr.status.core.events import message_of
from knarr.status.core.position import Position
from knarr.status.core.rows import EventRow
from knarr.status.ports import Message, PendingPurge

_FETCH_SECONDS = 2.0
_LETTER_BYTES = 200_000
SERVICE = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages of one stream, in order, with the means to settle them. `pending`: how many wait behind them."""

    messages: tuple[Message, ...]
    raw: tuple[Msg, ...]
    pending: int


class Consuming:
    """Batches of one stream. Any failure ends the iteration with a Retryable; the caller opens it again."""

    def __init__(self, broker: Broker, what: Subscription) -> None:
        self._broker = broker
        self._what = what

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Runs until the stream or the broker is lost. An empty batch says that nothing came for a while."""
        with translated(self._what.stream):
            await ensure_consumer(self._broker, self._what)
            subscription = await self._broker.jetstream().pull_subscribe_bind(
                consumer=self._what.durable, stream=self._what.stream
            )
            try:
                created = await stream_created(self._broker, self._what.stream)
                while True:
                    end_if_cancelled()
                    try:
                        raw = await subscription.fetch(self._what.batch, timeout=_FETCH_SECONDS)
                    except TimeoutError:
                        raw = []
                    now = await stream_created(self._broker, self._what.stream)
                    if now != created:
                        raise retryable("KNR5006", f"stream {self._what.stream} was made anew")
                    if not raw:
                        await self._broker.jetstream().consumer_info(self._what.stream, self._what.durable)
                    yield self._batch(raw, created)
            finally:
                with contextlib.suppress(nats.errors.Error, OSError):
                    await subscription.unsubscribe()

    async def done(self, raw: Msg) -> None:
        """The message's effect is durable."""
        with translated(self._what.stream):
            await raw.ack()

    async def again(self, raw: Msg, seconds: float) -> None:
        """Ask for it again later."""
        with translated(self._what.stream):
            await raw.nak(delay=seconds)

    async def dead(self, raw: Msg, failure: Failure) -> None:
        """It can never be handled: to the dead letters, with its number."""
        meta = raw.metadata
        letter = DeadLetter(
            subject=raw.subject,
            stream=meta.stream,
            sequence=meta.sequence.stream,
            service=SERVICE,
            failure=failure,
            payload=raw.data[:_LETTER_BYTES],
            at_ms=int(time.time() * 1000),
        )
        await self._broker.publish(dead_letter_subject(SERVICE), letter)
        with translated(self._what.stream):
            await raw.term()

    def _batch(self, raw: list[Msg], created: int) -> Batch:
        messages = tuple(_message(self._what.kinds, m, created) for m in raw)
        return Batch(messages=messages, raw=tuple(raw), pending=raw[-1].metadata.num_pending if raw else 0)


def _message(kinds: tuple[type, ...], raw: Msg, created: int) -> Message:
    meta = raw.metadata
    position = Position(stream_created=created, sequence=meta.sequence.stream)
    stored_at_ms = int(meta.timestamp.timestamp() * 1000)
    context = trace.get_current_span(extract(raw.headers)).get_span_context()
    trace_id = format(context.trace_id, "032x") if context.is_valid else ""
    value, failure = None, None
    try:
        value = from_wire(kinds, raw.data, raw.headers, most=FOREIGN_PLAIN.get(meta.stream, MAX_PLAIN_BYTES))
    except KnarrError as error:
        failure = failure_of(error)
    return Message(
        subject=raw.subject,
        position=position,
        stored_at_ms=stored_at_ms,
        value=value,
        failure=failure,
        trace_id=trace_id,
    )


async def stream_created(broker: Broker, stream: str) -> int:
    """When the stream was made, in ns since 1970. Retryable when it does not exist."""
    info = await broker.jetstream().stream_info(stream)
    return _nanoseconds(info.created)


def _nanoseconds(created: object) -> int:
    if isinstance(created, datetime):
        moment = created if created.tzinfo else created.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000) * 1000
    raise retryable("KNR7011", "the broker does not say when a stream was made")


@contextlib.contextmanager
def translated(stream: str) -> Iterator[None]:
    """nats-py's errors as numbered ones."""
    try:
        yield
    except nats.js.errors.NotFoundError as error:
        raise retryable("KNR5006", f"stream {stream} is missing") from error
    except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
        raise retryable("KNR7011", f"{stream}: {type(error).__name__}") from error


class BrokerTeller:
    """Teller, Plans and ReportStream over one broker. `readers`: durables of REPORTS that must have read a removal."""

    def __init__(self, broker: Broker, readers: tuple[str, ...]) -> None:
        self._broker = broker
        self._readers = readers

    async def tell_event(self, row: EventRow) -> None:
        """De-duplicated by the broker within its window; readers compare ids beyond it."""
        payload, headers = to_wire(message_of(row))
        headers["Nats-Msg-Id"] = row.event_id
        await self._broker.publish_bytes(event_subject(row.kind), payload, headers=headers)

    async def tell_facts(self, facts: ClusterFacts) -> None:
        """Newest per cluster."""
        await self._broker.publish(facts_subject(facts.cluster), facts)

    async def command(self, command: Command) -> None:
        """To rollout's work queue."""
        payload, headers = to_wire(command)
        headers["Nats-Msg-Id"] = command.command_id
        await self._broker.publish_bytes(command_subject(command.verb.value), payload, headers=headers)

    async def facts_told(self) -> int:
        """How many clusters' facts the stream holds."""
        with translated(FACTS):
            return int((await self._broker.jetstream().stream_info(FACTS)).state.messages)

    async def newest_plan(self, cluster: str) -> PlanReport | None:
        """None when no agent of that name has ever answered one."""
        found = await self._broker.newest(REPORTS, report_plan_subject(cluster), PlanReport)
        return found.value if found is not None else None

    async def purge_if_read(self, purge: PendingPurge) -> bool:
        """Purges the subject up to the removal once every reader is past it; False: not yet."""
        with translated(REPORTS):
            if await stream_created(self._broker, REPORTS) != purge.position.stream_created:
                return True
            for reader in self._readers:
                if not await self._is_past(reader, purge.position.sequence):
                    return False
            subject = report_app_subject(purge.cluster, purge.app)
            await self._broker.jetstream().purge_stream(REPORTS, seq=purge.position.sequence + 1, subject=subject)
            return True

    async def _is_past(self, reader: str, sequence: int) -> bool:
        try:
            info = await self._broker.jetstream().consumer_info(REPORTS, reader)
        except nats.js.errors.NotFoundError:
            return False
        idle = info.num_pending == 0 and info.num_ack_pending == 0
        return idle or (info.ack_floor is not None and info.ack_floor.stream_seq >= sequence)
