"""Half a request's headers hold no connection for ever, and one address leaves room for the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import aiohttp
import pytest
from aiohttp import web

from knarr.service.doors import Doors
from knarr.service.health import serve


async def _slow(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(1.2)
    return web.Response(text="slow\n")


async def _quick(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="quick\n")


@pytest.fixture
async def doors() -> Doors:
    return Doors(idle_seconds=0.5, per_address=5)


@pytest.fixture
async def port(doors: Doors) -> AsyncIterator[int]:
    application = web.Application()
    application.add_routes([web.get("/slow", _slow), web.get("/quick", _quick)])
    async with serve(application, "127.0.0.1:0", doors) as port:
        yield port


async def _ended(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            return await reader.read()
        return b""


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - several conditions, one way to wait
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /quick HTTP/1.1\r\nHost: x\r\n",
        b"G",
        b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\nGET /quick HTTP/1.1\r\nA: ",
    ],
    ids=["nothing", "half the headers", "one letter", "half of a second request"],
)
async def test_unfinished_headers_end_with_the_connection(port: int, doors: Doors, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await _ended(reader)
    writer.close()
    assert not doors.open_by_address


async def test_headers_that_trickle_in_end_all_the_same(port: int) -> None:
    """Each byte would begin the wait anew, if the wait were for bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /quick HTTP/1.1\r\n")
    ending = asyncio.create_task(_ended(reader))
    async with asyncio.timeout(10):
        while not ending.done():
            with suppress(ConnectionError):
                writer.write(b"X: y\r\n")
            await asyncio.sleep(0.05)
    writer.close()


async def test_an_answer_may_take_longer_than_headers(port: int) -> None:
    async with aiohttp.ClientSession() as http:
        for path in ("slow", "quick", "slow"):
            async with http.get(f"http://127.0.0.1:{port}/{path}") as response:
                assert await response.text() == f"{path}\n"


async def test_one_address_holds_so_many_connections_and_gets_them_back(port: int, doors: Doors) -> None:
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(5)]
    await _until(lambda: sum(doors.open_by_address.values()) == 5)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await _ended(reader) == b""
    for _, other in (*held, (reader, writer)):
        other.close()
    await _until(lambda: not doors.open_by_address)
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/quick") as response:
        assert response.status == 200
