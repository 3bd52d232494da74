"""`/api/v1/stream`: server-sent events over a response of our own.

A `beat` every few seconds keeps proxies from closing the connection, and tells the page that the stream lives and
what the hub's clock says.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

from knarr.pipeline.errors import retryable
from knarr.status.adapters.http.guard import OPERATION, secure
from knarr.status.broadcast import Broadcast, Told

_HEARTBEAT_SECONDS = 5.0
_WRITE_SECONDS = 10.0
# A stream ends after a while so that no connection outlives a revoked address or a drained replica for ever.
_LIFE_SECONDS = 3600.0
# One address (many people behind one proxy among them) leaves room for the others.
_STREAMS_PER_ADDRESS = 128


def stream(broadcast: Broadcast, stopping: asyncio.Event) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler. `stopping` ends every stream, so that a shutdown does not wait for pages."""

    listening: Counter[str] = Counter()

    async def handle(request: web.Request) -> web.StreamResponse:
        request[OPERATION] = "stream"
        address = request.remote or ""
        if broadcast.full or listening[address] >= _STREAMS_PER_ADDRESS:
            raise retryable("KNR5033", "too many pages listen")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        secure(response)
        listening[address] += 1
        try:
            await _serve(request, response)
        finally:
            listening[address] -= 1
            if not listening[address]:
                del listening[address]
        return response

    async def _serve(request: web.Request, response: web.StreamResponse) -> None:
        await response.prepare(request)
        async with broadcast.listening(request.headers.get("Last-Event-ID", "")[:64]) as queue:
            try:
                async with asyncio.timeout(_LIFE_SECONDS):
                    await response.write(b"retry: 1000\n\n")
                    await response.write(_encoded(broadcast.beat()))
                    await _forward(response, queue, broadcast.beat, stopping)
            except TimeoutError:
                pass
            except ConnectionError:
                pass

    return handle


async def _forward(
    response: web.StreamResponse, queue: asyncio.Queue[Told], beat: Callable[[], Told], stopping: asyncio.Event
) -> None:
    while not stopping.is_set():
        try:
            async with asyncio.timeout(_HEARTBEAT_SECONDS):
                told = await _next(queue, stopping)
        except TimeoutError:
            told = None
        if stopping.is_set():
            return
        async with asyncio.timeout(_WRITE_SECONDS):
            await response.write(_encoded(told or beat()))


async def _next(queue: asyncio.Queue[Told], stopping: asyncio.Event) -> Told | None:
    getting = asyncio.ensure_future(queue.get())
    ending = asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((getting, ending), return_when=asyncio.FIRST_COMPLETED)
        return getting.result() if getting.done() else None
    finally:
        getting.cancel()
        ending.cancel()


def _encoded(told: Told) -> bytes:
    mark = f"id: {told.event_id}\n" if told.event_id else ""
    return f"{mark}event: {told.kind}\ndata: {told.data}\n\n".encode()
