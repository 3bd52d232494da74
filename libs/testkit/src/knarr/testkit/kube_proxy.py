"""A proxy in front of a real API server that answers some requests itself: throttling, expired watches, lost tokens.

What no rule answers goes through, watches included; so everything else that an agent sees is real.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from knarr.local.kube import KubeCluster

# What to answer instead of the API server; None lets the request through.
Rule = Callable[[web.Request], web.Response | None]
_HOP = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def status(code: int, reason: str, message: str = "", **headers: str) -> web.Response:
    """An error as an API server words it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({**body, "message": message or reason}, status=code, headers=named)


@dataclass(slots=True)
class KubeProxy:
    """`url` is what a client is given; `rule` may be exchanged at any time."""

    kube: KubeCluster
    url: str = ""
    rule: Rule = lambda _request: None
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    _session: aiohttp.ClientSession | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        answer = self.rule(request)
        if answer is not None:
            self.seen.append((request.method, request.path_qs, answer.status))
            return answer
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        target, body = self.kube.url + request.raw_path, await request.read()
        async with self._session.request(request.method, target, headers=headers, data=body or None) as found:
            self.seen.append((request.method, request.path_qs, found.status))
            kept = {k: v for k, v in found.headers.items() if k.lower() not in _HOP}
            passing = web.StreamResponse(status=found.status, headers=kept)
            await passing.prepare(request)
            async for piece in found.content.iter_any():
                await passing.write(piece)
            return passing


@asynccontextmanager
async def kube_proxy(kube: KubeCluster) -> AsyncIterator[KubeProxy]:
    """A proxy on a free port of this machine, without TLS towards its client."""
    context = ssl.create_default_context(cafile=str(kube.ca_file))
    connector = aiohttp.TCPConnector(ssl=context, limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        proxy = KubeProxy(kube, _session=session)
        application = web.Application(client_max_size=8 * 2**20)
        application.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield proxy
        finally:
            await runner.cleanup()
    await asyncio.sleep(0.05)  # TLS connections end with an answer
