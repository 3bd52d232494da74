"""What anybody who reaches our HTTP servers did to them: the API's, the webhook's, and every service's health."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

import pytest

from tests.house import House

pytestmark = pytest.mark.asyncio(loop_scope="session")
HALF = (b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ", b"POST /webhook/fleet HTTP/1.1\r\n")
_SECONDS = 60.0


def _servers(house: House) -> dict[str, tuple[str, int]]:
    urls = {"API": house.session.hub.page_url, "webhook": house.session.hub.webhook_url}
    urls |= {part.name: part.url for part in house.session.hub.parts}
    parts = {name: urlsplit(url) for name, url in urls.items()}
    return {name: (str(p.hostname), int(p.port or 0)) for name, p in parts.items()}


async def _until_closed(address: tuple[str, int], sent: bytes) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    async with asyncio.timeout(_SECONDS):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    writer.close()


async def test_unfinished_headers_are_not_kept_for_ever(shared: House) -> None:
    """Half a request to each server, and then silence: the server ends the connection."""
    await asyncio.gather(*(_until_closed(a, sent) for a in _servers(shared).values() for sent in HALF))


async def test_one_address_takes_no_connection_from_another(shared: House) -> None:
    """700 connections from 127.0.0.2 to the API and to the webhook; 127.0.0.1 is answered all the same."""
    servers = _servers(shared)
    held: list[asyncio.StreamWriter] = []
    try:
        for name in ("API", "webhook"):
            for _ in range(700):
                _, writer = await asyncio.open_connection(*servers[name], local_addr=("127.0.0.2", 0))
                held.append(writer)
        assert (await shared.ask("summary"))["clusters"]["total"] == 3
        assert await shared.tell("0" * 40) == 202
    finally:
        for writer in held:
            writer.close()


@pytest.mark.parametrize("host", ["[::1]evil.example", "[::1]:80.evil.example", "127.0.0.1:80@evil.example", "[::1"])
async def test_a_host_that_only_begins_like_one_of_ours(shared: House, host: str) -> None:
    """DNS rebinding with a name that a lenient reader takes for loopback."""
    reader, writer = await asyncio.open_connection(*_servers(shared)["API"])
    writer.write(f"GET /api/v1/summary HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(10.0):
        assert (await reader.readline()).split()[1] in (b"421", b"400")
    writer.close()
