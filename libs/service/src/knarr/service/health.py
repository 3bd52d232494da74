"""`/healthz`, `/readyz` and `/metrics` of every service.

Liveness never touches the broker or the database: a blip there must not restart the process. Readiness does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from knarr.service.doors import Doors

Check = Callable[[], str]


def health_routes(ready: dict[str, Check]) -> list[web.RouteDef]:
    """The routes. A check returns an empty text when all is well, else what is not."""

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        wrong = {name: text for name, check in ready.items() if (text := check())}
        lines = [f"{name}: {wrong.get(name, 'ok')}" for name in ready]
        return web.Response(text="\n".join(lines) + "\n", status=503 if wrong else 200)

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [web.get("/healthz", healthz), web.get("/readyz", readyz), web.get("/metrics", metrics)]


@asynccontextmanager
async def health_server(listen: str, ready: dict[str, Check]) -> AsyncIterator[int]:
    """Serves health on `host:port` (port 0: any free one); yields the port."""
    application = web.Application()
    application.add_routes(health_routes(ready))
    async with serve(application, listen) as port:
        yield port


@asynccontextmanager
async def serve(application: web.Application, listen: str, doors: Doors | None = None) -> AsyncIterator[int]:
    """Serves an aiohttp application on `host:port`; yields the port. `doors`: how long headers may take, and so on."""
    host, _, port = listen.rpartition(":")
    watched = doors or Doors()
    application.middlewares.insert(0, watched.middleware)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    made = runner.server
    assert made is not None
    server = await asyncio.get_running_loop().create_server(
        lambda: watched.protocol(made()), (host or "127.0.0.1").strip("[]"), int(port), backlog=128
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await runner.cleanup()
