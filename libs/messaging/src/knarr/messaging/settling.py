"""What becomes of a delivered message: acknowledged, asked for again, or kept as a dead letter.

Until then the server is told that the work goes on. A sender that causes many dead letters has the first of them kept;
further ones are counted, and one letter says so (KNR7017).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterable

import nats.errors
import structlog
from nats.aio.msg import Msg

from knarr.messaging import metrics
from knarr.messaging.allowance import SAY_AGAIN_SECONDS, Allowance, Room
from knarr.messaging.broker import Broker
from knarr.messaging.envelope import to_wire
from knarr.messaging.foreign import bounds_of, sender_of
from knarr.messaging.streams import DEAD_LETTERS
from knarr.messaging.subjects import dead_letter_subject
from knarr.pipeline.decision import DeadLetter
from knarr.pipeline.errors import KnarrError, Rejected
from knarr.pipeline.failure import Failure

LOG = structlog.get_logger("knarr.consume")
_LETTERS, _LETTERS_SECONDS = 20, 600.0
_LONGEST_SECONDS = 30.0


class Settling:
    """One per consumer of `service` on `stream`."""

    def __init__(self, broker: Broker, service: str, stream: str, ack_wait_seconds: float) -> None:
        self._broker, self._service, self._stream = broker, service, stream
        self._beat = ack_wait_seconds / 3
        self._open: dict[int, Msg] = {}
        # Sender → when to say so, and the first of its messages without a letter.
        self._owed: dict[str, tuple[float, Msg, Failure]] = {}
        self._allowance = Allowance(_LETTERS, _LETTERS_SECONDS)

    @contextlib.asynccontextmanager
    async def keeping(self, messages: Iterable[Msg]) -> AsyncIterator[None]:
        """Tells the server of each of these, until it is settled, that the work goes on."""
        self._open = {id(message): message for message in messages}
        task = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            task.cancel()
            self._open = {}

    async def done(self, message: Msg) -> None:
        """Its effect is durable."""
        self._open.pop(id(message), None)
        await message.ack()

    async def again(self, message: Msg) -> None:
        """Asks for it later, each time later than before."""
        self._open.pop(id(message), None)
        wait = min(_LONGEST_SECONDS, 0.25 * 2 ** min(deliveries(message), 7))
        await message.nak(delay=wait * random.uniform(0.7, 1.3))  # noqa: S311

    async def dead(self, message: Msg, failure: Failure) -> bool:
        """It can never be handled. False when the letter could not be kept now: then it is asked for again."""
        metrics.REFUSED.labels(self._stream, failure.code).inc()
        if self._stream != DEAD_LETTERS and not await self._kept(message, failure):
            await self.again(message)
            return False
        self._open.pop(id(message), None)
        await message.term()
        return True

    async def _kept(self, message: Msg, failure: Failure) -> bool:
        sender = sender_of(self._stream, message.subject)
        room = self._allowance.take(sender, time.monotonic()) if sender else Room.FREE
        if room is Room.NONE:
            metrics.UNKEPT.labels(self._stream).inc()
            self._owed.setdefault(sender, (time.monotonic() + SAY_AGAIN_SECONDS, message, failure))
            return True
        try:
            await self._publish(message, failure, message.data[: bounds_of(self._stream).letter_bytes])
            if room is Room.LAST:
                self._owed.pop(sender, None)
                await self._publish(message, _too_many(sender, failure), b"")
        except KnarrError as error:
            LOG.warning("dead letter not kept", subject=message.subject[:200], code=error.code, error=error.message)
            return isinstance(error, Rejected)
        return True

    async def tell_owed(self) -> None:
        """Says of each sender, a minute later, that more was refused than has a letter: nothing of it stays unsaid."""
        now = time.monotonic()
        for sender, (due, message, failure) in tuple(self._owed.items()):
            if now < due:
                continue
            try:
                await self._publish(message, _too_many(sender, failure), b"")
            except KnarrError as error:
                LOG.warning("dead letter not kept", subject=message.subject[:200], code=error.code, error=error.message)
                return
            self._owed.pop(sender, None)

    async def _publish(self, message: Msg, failure: Failure, payload: bytes) -> None:
        meta = message.metadata
        letter = DeadLetter(
            subject=message.subject,
            stream=meta.stream,
            sequence=meta.sequence.stream,
            service=self._service,
            failure=failure,
            payload=payload,
            at_ms=int(time.time() * 1000),
        )
        body, headers = to_wire(letter)
        # Twice equals once, also when the letter was kept and the message could not be ended.
        identity = (self._service, meta.stream, meta.timestamp.timestamp(), meta.sequence.stream, failure.code)
        headers["Nats-Msg-Id"] = "/".join(map(str, identity))
        await self._broker.publish_bytes(dead_letter_subject(self._service), body, headers=headers)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._beat)
            for message in tuple(self._open.values()):
                with contextlib.suppress(nats.errors.Error, OSError):
                    await message.in_progress()


def deliveries(message: Msg) -> int:
    """How often the server has delivered it, this time included."""
    return message.metadata.num_delivered or 1


def _too_many(sender: str, failure: Failure) -> Failure:
    kept, minutes = _LETTERS, _LETTERS_SECONDS / 60
    words = (
        f"{sender} has {kept} dead letters within {minutes:g} minutes, the last with {failure.code}: more are counted"
    )
    return Failure(code="KNR7017", message=words)
