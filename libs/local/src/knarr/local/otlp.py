"""Receives traces over OTLP/HTTP inside this process: the cheap stand-in for a tracing backend in tests.

Lives in its caller's event loop. For queries across services use Jaeger (`jaeger`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from knarr.local.ports import free_port

_LARGEST_BODY = 64 * 1024 * 1024

Attribute = str | bool | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedSpan:
    """One span. Ids are lower-case hexadecimal, times nanoseconds; `parent_id` is empty for a root."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    started_ns: int
    ended_ns: int
    failed: bool
    attributes: Mapping[str, Attribute]
    # (trace id, span id) of each link.
    links: tuple[tuple[str, str], ...]


class OtlpReceiver:
    """`async with OtlpReceiver() as receiver: ... await receiver.await_spans(lambda spans: len(spans) == 3)`.

    Keeps the newest `limit` spans; older ones are dropped.
    """

    def __init__(self, *, limit: int = 100_000) -> None:
        self._port = free_port()
        self._spans: deque[ReceivedSpan] = deque(maxlen=limit)
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT: without the path of the signal."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def spans(self) -> tuple[ReceivedSpan, ...]:
        """All spans so far, in order of arrival."""
        return tuple(self._spans)

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_post("/v1/traces", self._receive)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def await_spans(
        self, holds: Callable[[Sequence[ReceivedSpan]], bool], *, deadline_seconds: float = 15.0
    ) -> tuple[ReceivedSpan, ...]:
        """All spans, once they `hold`. Raises TimeoutError that names what has come."""
        try:
            async with asyncio.timeout(deadline_seconds), self._arrived:
                await self._arrived.wait_for(lambda: holds(self.spans))
        except TimeoutError:
            raise TimeoutError(f"spans so far: {sorted({span.name for span in self._spans})}") from None
        return self.spans

    async def _receive(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest.FromString(await request.read())
        async with self._arrived:
            self._spans.extend(_spans_of(message))
            self._arrived.notify_all()
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=answer, content_type="application/x-protobuf")


def _spans_of(message: ExportTraceServiceRequest) -> list[ReceivedSpan]:
    found = []
    for resource in message.resource_spans:
        service = str(_attributes(resource.resource.attributes).get("service.name", ""))
        found += [_received(service, span) for scope in resource.scope_spans for span in scope.spans]
    return found


def _received(service: str, span: Span) -> ReceivedSpan:
    return ReceivedSpan(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        started_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_attributes(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
    )


def _attributes(pairs: Sequence[KeyValue]) -> dict[str, Attribute]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Attribute:
    match pair.value.WhichOneof("value"):
        case "bool_value":
            return pair.value.bool_value
        case "int_value":
            return pair.value.int_value
        case "double_value":
            return pair.value.double_value
        case "array_value":
            return tuple(item.string_value for item in pair.value.array_value.values)
        case _:
            return pair.value.string_value
