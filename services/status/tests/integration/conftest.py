"""The whole status service in this process, on a real broker and a real database of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from knarr.local.nats import NatsServer
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.streams import ensure_streams
from knarr.service.health import serve
from knarr.status.adapters.postgres.database import Database, open_database
from knarr.status.main import Status
from knarr.status.settings import read_settings

TOKEN = "sesame"
_DEADLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """The running service as a client sees it."""

    broker: Broker
    database: Database
    status: Status
    url: str
    http: aiohttp.ClientSession

    async def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """A read that must succeed."""
        async with self.http.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
            body: dict[str, Any] = await response.json()
            assert response.status == 200, body
            return body

    async def until(self, path: str, fits: Callable[[dict[str, Any]], object], **parameters: str) -> dict[str, Any]:
        """Reads until the answer fits; fails with the last answer at the deadline."""
        last: dict[str, Any] = {}
        end = time.monotonic() + _DEADLINE_SECONDS
        while time.monotonic() < end:
            async with self.http.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
                last = await response.json()
                if response.status == 200 and fits(last):
                    return last
            await asyncio.sleep(0.03)
        raise AssertionError(f"{path} never fitted; last: {last}")

    async def post(self, path: str, body: Any, token: str | None = TOKEN) -> tuple[int, dict[str, Any]]:
        """A write."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        async with self.http.post(f"{self.url}/api/v1/{path}", json=body, headers=headers) as response:
            return response.status, await response.json()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Waits for a condition; TimeoutError at the deadline."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.03)


@pytest.fixture
def wait_until() -> Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]:
    """`until`, for tests."""
    return until


@pytest.fixture
async def broker(nats_server: NatsServer) -> AsyncIterator[Broker]:
    """What the other services and the agents publish with."""
    async with Broker(BrokerSettings(urls=(nats_server.url,), name="test", reconnect_seconds=(0.05, 0.2))) as broker:
        await broker.wait_connected(10)
        await ensure_streams(broker.jetstream())
        yield broker


@pytest.fixture
def environment(nats_server: NatsServer, database: str, tmp_path: Path) -> dict[str, str]:
    """The service's environment."""
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    return {
        "KNARR_NATS_URL": nats_server.url,
        "KNARR_DATABASE_DSN": database,
        "KNARR_API_TOKEN_FILE": str(token),
        "KNARR_LISTEN": "127.0.0.1:0",
        "KNARR_REPORT_INTERVAL_SECONDS": "600",
        "KNARR_HOUSEKEEPING_SECONDS": "0.1",
        "KNARR_COMMAND_SECONDS": "3",
        "KNARR_FACTS_SECONDS": "1",
        "KNARR_UNKNOWN_SECONDS": "1",
    }


@contextlib.asynccontextmanager
async def running(environment: Mapping[str, str], broker: Broker) -> AsyncIterator[Hub]:
    """The service with its own connection, until the end of the block."""
    settings = read_settings(environment)
    own = BrokerSettings(urls=settings.nats_urls, name="status", reconnect_seconds=(0.05, 0.2))
    async with open_database(settings.database_dsn) as database, Broker(own) as connection:
        status = Status(settings, connection, database)
        async with serve(status.application(), settings.listen) as port, aiohttp.ClientSession() as http:
            task = asyncio.create_task(status.run())
            try:
                yield Hub(broker=broker, database=database, status=status, url=f"http://127.0.0.1:{port}", http=http)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


@pytest.fixture
async def hub(environment: dict[str, str], broker: Broker) -> AsyncIterator[Hub]:
    """The running service."""
    async with running(environment, broker) as hub:
        yield hub
