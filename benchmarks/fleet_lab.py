"""What the fleet's benchmarks share: a Git host, a whole installation as real processes, and its API."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from figures import say

from knarr.cli.api import Api
from knarr.cli.demo.fleet import Repository
from knarr.cli.install.clusters import LocalCluster
from knarr.cli.install.identity import ADMIN, Identity
from knarr.cli.install.session import Session, UpOptions, installation
from knarr.local.git import GitServer
from knarr.messaging.broker import Broker, BrokerSettings

T = TypeVar("T")
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetLab:
    """A running fleet. `push` commits and tells the fetcher, as a Git host does."""

    session: Session
    repository: Repository
    api: Api
    broker: Broker

    async def push(self, message: str, files: dict[str, str | None]) -> str:
        """The commit's id; returns when the webhook was answered."""
        return await self.repository.commit(message, files, self.session.hub.webhook_url)

    async def ask(self, path: str, **query: str) -> Any:
        """One answer of the API."""
        return await asyncio.to_thread(lambda: self.api.get(path, **query))

    async def commit_in(self, sha: str, states: tuple[str, ...], seconds: float = 300.0) -> dict[str, Any]:
        """The commit once the API says that it is in one of the states."""

        async def look() -> dict[str, Any] | None:
            items: list[dict[str, Any]] = (await self.ask("commits", sha=sha, limit="1"))["items"]
            return items[0] if items and items[0]["state"] in states else None

        return await until(look, seconds)

    async def enrolled(self, count: int, seconds: float = 300.0) -> None:
        """Returns when so many clusters have reported."""

        async def look() -> bool:
            standings = (await self.ask("summary"))["clusters"]["standings"]
            known = sum(n for word, n in standings.items() if word != "unknown")
            return bool(known >= count or await self._heard() >= count)

        await until(look, seconds)

    async def _heard(self) -> int:
        info = await self.broker.jetstream().stream_info("REPORTS", subjects_filter="report.*.cluster")
        return len(info.state.subjects or {})


async def until(look: Callable[[], Awaitable[T | None]], seconds: float) -> T:
    """The first true answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await look()
        if found:
            return found
        await asyncio.sleep(_LOOK_SECONDS)
    raise TimeoutError(f"not within {seconds:g} s")


@asynccontextmanager
async def fleet_lab(
    files: dict[str, str | None], clusters: tuple[LocalCluster, ...], folder: Path | None = None
) -> AsyncIterator[FleetLab]:
    """The fleet of `files` over `clusters`, all enrolled. State in a temporary folder unless one is given."""
    with tempfile.TemporaryDirectory(prefix="knarr-bench-") as temporary:
        state = folder or Path(temporary)
        async with GitServer(state / "git") as server:
            repository = Repository(
                git=server.create("fleet"), webhook_secret=Identity(state / "keys").webhook_secret_file.read_bytes()
            )
            await repository.commit("The fleet", files)
            options = UpOptions(
                fleet=server.http_url("fleet"),
                state=state,
                kubeconfig=state / "none",
                clusters=clusters,
                poll=600.0,
            )
            async with installation(options, say) as session:
                seed = session.hub.identity.service_seed_file(ADMIN).read_text()
                broker_settings = BrokerSettings(urls=(session.hub.nats.url,), name=ADMIN, nkey_seed=seed)
                async with Broker(broker_settings) as broker:
                    await broker.wait_connected(10)
                    lab = FleetLab(
                        session=session,
                        repository=repository,
                        api=Api(base=session.hub.page_url, token=""),
                        broker=broker,
                    )
                    await lab.enrolled(len(clusters))
                    yield lab


def simulated(count: int) -> tuple[LocalCluster, ...]:
    """sim-1, sim-2, …"""
    return tuple(LocalCluster(name=f"sim-{n}") for n in range(1, count + 1))
