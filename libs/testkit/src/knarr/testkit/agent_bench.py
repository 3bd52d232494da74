"""One agent on a simulated cluster, with a hub in memory: what tests of the whole flow stand on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from knarr.agent.adapters.simulated.cluster import SimulatedCluster
from knarr.agent.adapters.simulated.store import FolderStore
from knarr.agent.agent import Agent, Identity
from knarr.agent.main import load_expressions
from knarr.agent.start import Trust
from knarr.bundle.budget import Budget
from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import AssignedApp
from knarr.pipeline.report import AppState
from knarr.testkit.agent_hub import EPOCH, Assigner, MemoryHub, assigned

Object = dict[str, Any]
_BUDGET = Budget()
SIGNER = SigningKey(b"s" * 32)


def config_map(name: str, namespace: str = "shop", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def deployment(name: str, image: str = "shop:1", namespace: str = "shop") -> Object:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": pod},
    }


@dataclass
class Bench:
    """One agent on a simulated cluster with a hub in memory."""

    folder: Path
    hub: MemoryHub
    cluster: SimulatedCluster
    agent: Agent
    assigner: Assigner

    def assign(self, *bundles: Bundle, tombstones: tuple[str, ...] = (), **more: Any) -> dict[str, AssignedApp]:
        apps = {}
        for bundle in bundles:
            app, sealed = assigned(bundle)
            self.hub.blobs[sealed.address] = sealed.data
            apps[app.app] = app
        self.hub.store(self.assigner.signed(apps.values(), tombstones=tombstones, **more))
        return apps

    def prepared(self, bundle: Bundle) -> AssignedApp:
        """The bundle lies ready; it is not assigned yet."""
        app, sealed = assigned(bundle)
        self.hub.blobs[sealed.address] = sealed.data
        return app

    async def reads(self, count: int) -> None:
        """Waits until the assignment was read so often."""
        async with asyncio.timeout(20):
            while self.hub.assignment_reads < count:
                await self.hub.read.wait()
                self.hub.read.clear()

    async def until(self, holds: Callable[[], bool]) -> None:
        await self.hub.until(holds)

    async def state(self, app: str, state: AppState, digest: bytes | None = None) -> None:
        def reached() -> bool:
            report = self.hub.app(app)
            return report is not None and report.state is state and (digest is None or report.digest == digest)

        await self.hub.until(reached)

    def get(self, kind: str, name: str, namespace: str = "shop") -> Object | None:
        group = "apps" if kind == "Deployment" else ""
        return self.cluster.objects.get((group, kind, namespace, name))

    async def eventually(self, holds: Callable[[], bool], seconds: float = 10.0) -> None:
        changed = asyncio.Event()
        self.cluster.objects.listeners.append(lambda _change: changed.set())
        async with asyncio.timeout(seconds):
            while not holds():
                changed.clear()
                await changed.wait()


@asynccontextmanager
async def bench(
    folder: Path,
    hub: MemoryHub | None = None,
    *,
    epoch: str = EPOCH,
    adopt: bool = False,
    generation: int = 0,
    budget: Budget = _BUDGET,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Bench]:
    hub = hub or MemoryHub("c1")
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(SimulatedCluster(folder, ready_after_seconds=0.01))
        store = stack.enter_context(closing(FolderStore(folder / "agent")))
        trust = Trust(epoch=epoch, keys=(bytes(SIGNER.verify_key),))
        identity = Identity(cluster="c1", trust=trust, adopt=adopt, heartbeat_seconds=0.5, budget=budget)
        agent = Agent(
            identity=identity, cluster=cluster, store=store, hub=hub, expressions=load_expressions, clock=clock
        )
        running = asyncio.ensure_future(agent.run())
        try:
            started = asyncio.ensure_future(agent.started.wait())
            await asyncio.wait((running, started), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                started.cancel()
                running.result()
            if not hub.offline:
                await hub.until(lambda: hub.cluster_report() is not None)
            report = hub.cluster_report()
            uid = (await cluster.identity()).uid
            recipient = report.sealing_public_key if report else b""
            assigner = Assigner("c1", uid, recipient, signer=SIGNER, epoch=epoch, generation=generation)
            yield Bench(folder, hub, cluster, agent, assigner)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
