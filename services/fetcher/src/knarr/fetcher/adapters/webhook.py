"""`POST /webhook/<source>`: a Git host says *look*. Answers at once, and takes nothing else from the request."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

from aiohttp import web

from knarr.fetcher.core.webhook import BODY_BYTES, WrongLimit, is_signed
from knarr.fetcher.counters import WEBHOOKS
from knarr.pipeline.errors import CATALOGUE

_AT_ONCE = 16
_READ_SECONDS = 10.0

SecretOf = Callable[[str], bytes]
Wake = Callable[[str], bool]


class Webhook:
    """The route's handler. `secret_of` gives a source's secret, empty when it has none; `wake` makes it look."""

    def __init__(self, secret_of: SecretOf, wake: Wake, limit: WrongLimit | None = None) -> None:
        self._secret_of, self._wake = secret_of, wake
        self._limit = limit or WrongLimit()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        # Signs for sources that do not exist, so that they answer, and take, as those that do.
        self._nobodys_secret = secrets.token_bytes(32)

    def routes(self) -> list[web.RouteDef]:
        """For an aiohttp application."""
        return [web.post("/webhook/{source}", self._handle)]

    async def _handle(self, request: web.Request) -> web.Response:
        response = await self._answer(request)
        WEBHOOKS.labels(status=str(response.status)).inc()
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        if self._slots.locked():
            return _refusal(429, "KNR1032")
        if (request.content_length or 0) > BODY_BYTES:
            return self._wrong(request, 413, "KNR1031")
        async with self._slots:
            body = await _body(request)
        if body is None:
            return self._wrong(request, 413, "KNR1031")
        source = request.match_info["source"]
        headers = {name.lower(): value for name, value in request.headers.items()}
        known_secret = self._secret_of(source)
        if not is_signed(known_secret or self._nobodys_secret, body, headers) or not self._wake(source):
            return self._wrong(request, 401, "KNR1030")
        return web.Response(status=202, text="looking\n")

    def _wrong(self, request: web.Request, status: int, code: str) -> web.Response:
        """A wrong request costs its address; a right one is heard however many wrong ones came from there."""
        address, now = request.remote or "", time.monotonic()
        spent = self._limit.is_spent(address, now)
        self._limit.charge(address, now)
        return _refusal(429, "KNR1032") if spent else _refusal(status, code)


async def _body(request: web.Request) -> bytes | None:
    """The raw body, or None when it is too large or comes too slowly. Never holds more than the limit."""
    body = bytearray()
    try:
        async with asyncio.timeout(_READ_SECONDS):
            async for piece in request.content.iter_chunked(64 * 1024):
                body += piece
                if len(body) > BODY_BYTES:
                    return None
    except TimeoutError:
        return None
    return bytes(body)


def _refusal(status: int, code: str) -> web.Response:
    entry = CATALOGUE[code]
    headers = {"Retry-After": "60"} if status == 429 else {}
    return web.json_response(
        {"code": code, "message": entry.title, "nextStep": entry.next_step}, status=status, headers=headers
    )
