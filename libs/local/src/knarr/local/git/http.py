"""Smart HTTP: hands each request to `git http-backend` as CGI, behind an optional token. Used by `server`."""

from __future__ import annotations

import asyncio
import base64
import hmac
from dataclasses import dataclass, field

from aiohttp import web

from knarr.local.git.backend import Backend

_CHUNK = 64 * 1024


@dataclass(slots=True, kw_only=True)
class HttpState:
    """What a test may change while the server runs, and what it may look at."""

    token: str | None = None
    # When set, every request gets this status: a host that is down or over its limit.
    refuse_with: int | None = None
    # One line per request: method and path.
    requests: list[str] = field(default_factory=list)


def make_application(backend: Backend, state: HttpState) -> web.Application:
    """The handler of all paths."""

    async def serve(request: web.Request) -> web.StreamResponse:
        state.requests.append(f"{request.method} {request.path_qs}")
        if state.refuse_with is not None:
            return web.Response(status=state.refuse_with, headers={"Retry-After": "1"})
        if state.token is not None and not _allowed(request, state.token):
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        return await _run(backend, request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", serve)
    return application


def _allowed(request: web.Request, token: str) -> bool:
    kind, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        password = base64.b64decode(credentials).decode().partition(":")[2]
    except ValueError:
        return False
    return hmac.compare_digest(password.encode(), token.encode())


async def _run(backend: Backend, request: web.Request) -> web.StreamResponse:
    # aiohttp has decompressed the body already, so neither its encoding nor its length is passed on.
    variables = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": request.path,
        "QUERY_STRING": request.query_string,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "REMOTE_USER": "git",
        "REMOTE_ADDR": "127.0.0.1",
    }
    async with backend.run("http-backend", **variables) as child:
        async with asyncio.TaskGroup() as group:
            feeding = group.create_task(_feed(request, child))
            group.create_task(_drain(child))
            response = await _answer(request, child)
            feeding.cancel()
    return response


async def _feed(request: web.Request, child: asyncio.subprocess.Process) -> None:
    assert child.stdin is not None
    try:
        async for chunk in request.content.iter_chunked(_CHUNK):
            child.stdin.write(chunk)
            await child.stdin.drain()
        child.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        return


async def _drain(child: asyncio.subprocess.Process) -> None:
    assert child.stderr is not None
    while await child.stderr.read(_CHUNK):
        pass


async def _answer(request: web.Request, child: asyncio.subprocess.Process) -> web.StreamResponse:
    assert child.stdout is not None
    response = web.StreamResponse()
    while line := (await child.stdout.readline()).strip():
        name, _, value = line.decode().partition(": ")
        if name.lower() == "status":
            response.set_status(int(value.split()[0]))
        else:
            response.headers[name] = value
    try:
        await response.prepare(request)
        while chunk := await child.stdout.read(_CHUNK):
            await response.write(chunk)
        await response.write_eof()
    except ConnectionResetError:
        # The client is gone: what git still says has nowhere to go.
        return response
    return response
