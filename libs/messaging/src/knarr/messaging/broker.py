"""One supervised connection to NATS.

nats-py reconnects by itself, without jitter, and closes for good on a fatal error; `Broker` adds the jitter and makes
a new client after such a close. Core subscriptions are made again on every new client. Every call has a deadline and
raises Retryable (KNR7010, KNR7011) when the broker does not answer; "no message" is an answer and is None.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from knarr.messaging.client import SturdyClient
from knarr.messaging.envelope import to_wire
from knarr.messaging.foreign import opened
from knarr.pipeline.errors import rejected, retryable

T = TypeVar("T")
MessageHandler = Callable[[Msg], Awaitable[None]]
ConnectedHandler = Callable[[], Awaitable[None]]

LOG = structlog.get_logger("knarr.messaging")
_WRONG_LAST_SEQUENCE = 10071
_SUBJECT_FULL = 10077
_TOO_LARGE = 10054


class Outdated(Exception):
    """A compare-and-set publish lost: somebody stored a newer message first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where and as whom to connect. `nkey_seed` is secret (SU…); empty for a server without authentication."""

    urls: tuple[str, ...]
    name: str
    nkey_seed: str = field(default="", repr=False)
    inbox_prefix: str = "_INBOX"
    request_timeout_seconds: float = 5.0
    reconnect_seconds: tuple[float, float] = (0.2, 4.0)
    ping_interval_seconds: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored(Generic[T]):
    """A message as the stream holds it; `time` is the broker's."""

    value: T
    subject: str
    sequence: int
    time: datetime | None
    headers: dict[str, str]


class Broker:
    """Use as `async with Broker(settings) as broker`. Safe for concurrent use within one event loop."""

    def __init__(self, settings: BrokerSettings) -> None:
        self.settings = settings
        self._client: Client | None = None
        self._closed = asyncio.Event()
        self._connected = asyncio.Event()
        self._subscriptions: list[tuple[str, MessageHandler]] = []
        self._on_connected: list[ConnectedHandler] = []
        self._supervisor: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Broker:
        self._supervisor = asyncio.create_task(self._supervise(), name="broker-supervisor")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervisor
        await self._discard_client()

    @property
    def connected(self) -> bool:
        """Whether the broker can be asked now."""
        return self._client is not None and self._client.is_connected

    async def wait_connected(self, seconds: float) -> None:
        """KNR7010 when there is no connection within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._connected.wait()
        except TimeoutError as error:
            raise retryable("KNR7010", f"no connection to {self._urls_for_people()} within {seconds:g} s") from error

    def client(self) -> Client:
        """The current nats-py client; KNR7010 when there is none."""
        if self._client is None or self._client.is_closed:
            raise retryable("KNR7010", f"not connected to {self._urls_for_people()}")
        return self._client

    def jetstream(self) -> JetStreamContext:
        """JetStream on the current client."""
        return self.client().jetstream(timeout=self.settings.request_timeout_seconds)

    def on_connected(self, handler: ConnectedHandler) -> None:
        """`handler` is awaited after every connect and reconnect. It must not raise or take long."""
        self._on_connected.append(handler)

    async def subscribe(self, subject: str, handler: MessageHandler) -> None:
        """A core subscription that survives reconnects and new clients. Messages may be lost: they only say *look*."""
        self._subscriptions.append((subject, handler))
        if self._client is not None and self._client.is_connected:
            await self._client.subscribe(subject, cb=handler)

    async def publish(self, subject: str, value: Any, *, expect_last: int | None = None, message_id: str = "") -> int:
        """Stores a message value; its sequence. Outdated when `expect_last` is not the subject's last sequence.

        A `message_id` seen within the stream's duplicate window is stored once.
        """
        payload, headers = to_wire(value)
        if message_id:
            headers["Nats-Msg-Id"] = message_id
        return await self.publish_bytes(subject, payload, headers=headers, expect_last=expect_last)

    async def publish_bytes(
        self, subject: str, payload: bytes, *, headers: dict[str, str] | None = None, expect_last: int | None = None
    ) -> int:
        """As `publish`, for bytes that are already in wire form."""
        sent = dict(headers or {})
        if expect_last is not None:
            sent["Nats-Expected-Last-Subject-Sequence"] = str(expect_last)
        async with self._asking(f"publish to {subject}"):
            try:
                ack = await self.jetstream().publish(subject, payload, headers=sent or None)
            except nats.js.errors.APIError as error:
                if error.err_code == _WRONG_LAST_SEQUENCE:
                    raise Outdated(subject) from error
                raise
        return int(ack.seq)

    async def publish_once(self, subject: str, payload: bytes) -> bool:
        """Stores bytes on a write-once subject; False when they were there already."""
        async with self._asking(f"publish to {subject}"):
            try:
                await self.jetstream().publish(subject, payload)
            except nats.js.errors.APIError as error:
                if error.err_code in (_WRONG_LAST_SEQUENCE, _SUBJECT_FULL):
                    return False
                raise
        return True

    async def newest(self, stream: str, subject: str, kind: type[T]) -> Stored[T] | None:
        """The newest message of a subject; None only when the stream says that there is none.

        A message that cannot be read or is beyond its stream's bounds is refused as everywhere (foreign.py).
        """
        raw = await self.newest_bytes(stream, subject)
        if raw is None:
            return None
        value: T = opened(stream, (kind,), raw.subject, raw.value, raw.headers)[0]
        return Stored(value=value, subject=raw.subject, sequence=raw.sequence, time=raw.time, headers=raw.headers)

    async def newest_bytes(self, stream: str, subject: str) -> Stored[bytes] | None:
        """As `newest`, undecoded."""
        async with self._asking(f"read {subject}"):
            try:
                found = await self.jetstream().get_last_msg(stream, subject, direct=True)
            except nats.js.errors.NotFoundError:
                return None
        headers = dict(found.headers or {})
        return Stored(
            value=found.data or b"",
            subject=found.subject or subject,
            sequence=found.seq or 0,
            time=getattr(found, "time", None),
            headers=headers,
        )

    async def subjects_of(self, stream: str, subject_filter: str) -> frozenset[str]:
        """The subjects of a stream that hold a message now."""
        async with self._asking(f"list {subject_filter}"):
            info = await self.jetstream().stream_info(stream, subjects_filter=subject_filter)
        return frozenset(info.state.subjects or ())

    @contextlib.asynccontextmanager
    async def _asking(self, what: str) -> AsyncIterator[None]:
        try:
            yield
        except (nats.errors.TimeoutError, TimeoutError) as error:
            raise retryable("KNR7011", f"{what}: no answer in time") from error
        except nats.js.errors.ServiceUnavailableError as error:
            raise retryable("KNR7011", f"{what}: {error}") from error
        except nats.js.errors.APIError as error:
            if error.err_code == _TOO_LARGE:
                raise rejected("KNR7012", f"{what}: the stream takes no message of that size") from error
            raise retryable("KNR7011", f"{what}: {error.description or error}") from error
        except nats.errors.MaxPayloadError as error:
            limit = self.client().max_payload
            raise rejected(
                "KNR7012", f"{what}: the broker takes {limit} bytes at most; raise its max_payload"
            ) from error
        except (nats.errors.Error, OSError) as error:
            raise retryable("KNR7010", f"{what}: {type(error).__name__}") from error

    async def _supervise(self) -> None:
        attempt = 0
        while True:
            try:
                await self._connect()
                attempt = 0
                await self._closed.wait()
                LOG.warning("broker connection closed for good; making a new client", broker=self._urls_for_people())
            except (nats.errors.Error, OSError, TimeoutError) as error:
                attempt += 1
                LOG.warning("cannot connect to the broker", broker=self._urls_for_people(), error=type(error).__name__)
            await self._discard_client()
            low, high = self.settings.reconnect_seconds
            await asyncio.sleep(min(30.0, random.uniform(low, high) * min(attempt + 1, 8)))  # noqa: S311

    async def _connect(self) -> None:
        self._closed.clear()
        settings = self.settings
        client = SturdyClient()
        await client.connect(
            servers=list(settings.urls),
            name=settings.name,
            nkeys_seed_str=settings.nkey_seed or None,
            inbox_prefix=settings.inbox_prefix,
            max_reconnect_attempts=-1,
            ping_interval=settings.ping_interval_seconds,
            connect_timeout=5,
            allow_reconnect=True,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._announce,
            closed_cb=self._on_closed,
            reconnect_to_server_handler=self._pick_server,
        )
        self._client = client
        for subject, handler in self._subscriptions:
            await self._client.subscribe(subject, cb=handler)
        await self._announce()

    def _pick_server(self, servers: list[Any], _info: dict[str, Any]) -> tuple[Any, float]:
        low, high = self.settings.reconnect_seconds
        return random.choice(servers), random.uniform(low, high)  # noqa: S311

    async def _announce(self) -> None:
        self._connected.set()
        for handler in self._on_connected:
            await handler()

    async def _on_disconnected(self) -> None:
        self._connected.clear()

    async def _on_closed(self) -> None:
        self._connected.clear()
        self._closed.set()

    async def _on_error(self, error: Exception) -> None:
        LOG.warning("broker error", error=type(error).__name__, detail=str(error)[:300])

    async def _discard_client(self) -> None:
        client, self._client = self._client, None
        self._connected.clear()
        if client is not None and not client.is_closed:
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                await asyncio.wait_for(client.close(), timeout=5)

    def _urls_for_people(self) -> str:
        return ", ".join(url.rpartition("@")[2] for url in self.settings.urls)
