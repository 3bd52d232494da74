"""The web application: API, stream, page, schemas of the documents, health; everything behind the guard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from importlib import resources

from aiohttp import web

from knarr.pipeline.schemas import SCHEMA_NAMES, schema_bytes
from knarr.service.health import Check, health_routes
from knarr.status.adapters.http.api import Api
from knarr.status.adapters.http.guard import guard
from knarr.status.adapters.http.stream import stream
from knarr.status.broadcast import Broadcast

_BODY_BYTES = 64 * 1024
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
STOPPING = web.AppKey("stopping", asyncio.Event)


def application(api: Api, broadcast: Broadcast, hosts: frozenset[str], ready: dict[str, Check]) -> web.Application:
    """Ready to be served."""
    app = web.Application(middlewares=[guard(hosts)], client_max_size=_BODY_BYTES)
    app[STOPPING] = asyncio.Event()
    app.on_shutdown.append(_stop)
    app.add_routes(api.routes())
    app.add_routes([web.get("/api/v1/stream", stream(broadcast, app[STOPPING]))])
    app.add_routes(health_routes(ready))
    app.add_routes(_page())
    app.add_routes(_schemas())
    return app


async def _stop(app: web.Application) -> None:
    app[STOPPING].set()


def _page() -> list[web.RouteDef]:
    """Every file of `page/` under /assets/, read once; the page itself for the addresses that it draws."""
    folder = resources.files("knarr.status") / "page"
    routes = []
    for name, body in sorted(_files(folder)):
        suffix = name[name.rindex(".") :]
        if suffix in _TYPES and name != "index.html":
            routes.append(web.get(f"/assets/{name}", _file(body, _TYPES[suffix])))
    index = _file((folder / "index.html").read_bytes(), "text/html")
    places = ("/", "/clusters", "/clusters/{name}", "/apps", "/apps/{name}", "/commits", "/commits/{source}/{commit}")
    return [*routes, *(web.get(p, index) for p in (*places, "/revisions/{revision}", "/events", "/sources"))]


def _schemas() -> list[web.RouteDef]:
    """The published schema of every kind of document, for editors."""
    kind = "application/schema+json"
    return [web.get(f"/schemas/v1/{name}.json", _file(schema_bytes(name), kind)) for name in SCHEMA_NAMES]


def _files(folder: resources.abc.Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files(entry, f"{prefix}{entry.name}/")
        elif "." in entry.name:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _file(body: bytes, content_type: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        response = web.Response(
            body=body, content_type=content_type, charset="utf-8", headers={"Cache-Control": "no-cache"}
        )
        response.enable_compression()
        return response

    return handle
