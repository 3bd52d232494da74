"""The whole flow on a simulated cluster: assignments in, objects and reports out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from knarr.agent.adapters.simulated.cluster import SimulatedCluster
from knarr.agent.adapters.simulated.store import FolderStore
from knarr.agent.agent import Agent, Identity
from knarr.agent.start import Trust
from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import Approval, AssignedApp
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.report import AppState
from knarr.testkit.agent_hub import EPOCH, Assigner, MemoryHub, assigned, bundle_of

Object = dict[str, Any]
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
    folder: Path, hub: MemoryHub | None = None, *, epoch: str = EPOCH, adopt: bool = False, generation: int = 0
) -> AsyncIterator[Bench]:
    hub = hub or MemoryHub("c1")
    async with SimulatedCluster(folder, ready_after_seconds=0.01) as cluster:
        store = FolderStore(folder / "agent")
        trust = Trust(epoch=epoch, keys=(bytes(SIGNER.verify_key),))
        identity = Identity(cluster="c1", trust=trust, adopt=adopt, heartbeat_seconds=0.5)
        agent = Agent(identity=identity, cluster=cluster, store=store, hub=hub)
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


async def test_an_app_is_applied_and_reported_healthy(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        apps = b.assign(bundle_of("shop", config_map("a", x="1"), deployment("web"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        report = b.hub.app("shop")
        assert report is not None
        assert report.object_count == 2
        found = b.get("ConfigMap", "a")
        assert found is not None
        assert found["metadata"]["labels"] == {"knarr.dev/app": "shop"}
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)


async def test_a_changed_bundle_changes_and_prunes_only_what_it_omits(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        names = [f"n{i}" for i in range(8)]
        b.assign(bundle_of("shop", *(config_map(n, x="1") for n in names), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        apps = b.assign(bundle_of("shop", *(config_map(n, x="2") for n in names[1:]), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        assert b.get("ConfigMap", "n0") is None
        assert all((f := b.get("ConfigMap", n)) is not None and f["data"] == {"x": "2"} for n in names[1:])


async def test_a_large_deletion_is_held_until_its_digest_is_approved(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", *(config_map(f"n{i}") for i in range(15)), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        less = bundle_of("shop", config_map("n0"), namespace="shop")
        apps = b.assign(less)
        await b.state("shop", AppState.HELD, apps["shop"].digest)
        report = b.hub.app("shop")
        assert report is not None
        assert report.failures[0].code == "KNR4030"
        assert report.held_digests == (apps["shop"].digest,)
        assert b.get("ConfigMap", "n14") is not None
        b.assign(less, approvals=(Approval(app="shop", digest=apps["shop"].digest),))
        await b.state("shop", AppState.HEALTHY)
        assert b.get("ConfigMap", "n14") is None


async def test_an_edit_by_hand_is_healed_and_named(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.cluster.edit(("", "ConfigMap", "shop", "a"), {"data": {"x": "9"}}, "kubectl-edit")
        await b.eventually(lambda: (f := b.get("ConfigMap", "a")) is not None and f["data"] == {"x": "1"})
        await b.until(lambda: (r := b.hub.app("shop")) is not None and len(r.drift) == 1)
        report = b.hub.app("shop")
        assert report is not None
        entry = report.drift[0]
        assert (entry.manager, entry.paths, entry.healed) == ("kubectl-edit", ("data.x",), True)


async def test_a_deleted_object_comes_back(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.cluster.remove(("", "ConfigMap", "shop", "a"))
        await b.eventually(lambda: b.get("ConfigMap", "a") is not None)
        await b.until(lambda: (r := b.hub.app("shop")) is not None and any(d.deleted for d in r.drift))


async def test_an_object_that_moves_between_apps_is_never_deleted(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        left, right = [config_map(f"l{i}") for i in range(8)], [config_map(f"r{i}") for i in range(8)]
        moving = config_map("moving", x="1")
        b.assign(bundle_of("left", moving, *left, namespace="shop"), bundle_of("right", *right, namespace="shop"))
        await b.state("left", AppState.HEALTHY)
        await b.state("right", AppState.HEALTHY)
        before = b.get("ConfigMap", "moving")
        apps = b.assign(
            bundle_of("left", *left, namespace="shop"), bundle_of("right", moving, *right, namespace="shop")
        )
        await b.state("left", AppState.HEALTHY, apps["left"].digest)
        await b.state("right", AppState.HEALTHY, apps["right"].digest)
        after = b.get("ConfigMap", "moving")
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["metadata"]["labels"] == {"knarr.dev/app": "right"}


async def test_a_tombstone_removes_when_approved_and_is_confirmed(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.assign(tombstones=("shop",))
        await b.state("shop", AppState.HELD)
        assert b.get("ConfigMap", "a") is not None
        b.assign(tombstones=("shop",), approvals=(Approval(app="shop", removal=True),))
        await b.state("shop", AppState.REMOVED)
        assert b.get("ConfigMap", "a") is None
        assert b.cluster.objects.get(("", "Namespace", "", "shop")) is not None


async def test_an_app_that_merely_vanishes_from_the_assignment_keeps_its_objects(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.assign(bundle_of("other", config_map("b"), namespace="shop"))
        await b.state("other", AppState.HEALTHY)
        assert b.get("ConfigMap", "a") is not None


async def test_a_restart_without_a_hub_heals_on_from_the_last_good_state(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)
    async with bench(tmp_path, MemoryHub("c1", offline=True)) as b:
        b.cluster.edit(("", "ConfigMap", "shop", "a"), {"data": {"x": "9"}}, "kubectl-edit")
        await b.eventually(lambda: (f := b.get("ConfigMap", "a")) is not None and f["data"] == {"x": "1"})
        assert b.hub.history == []
        b.hub.offline = False
        await b.state("shop", AppState.HEALTHY)


async def test_state_of_another_epoch_is_refused_unless_adopted(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
    with pytest.raises(KnarrError) as refused:
        async with bench(tmp_path, epoch="another"):
            raise AssertionError("it must not start")
    assert refused.value.code == "KNR4006"
    async with bench(tmp_path, epoch="another", adopt=True) as b:
        apps = b.assign(bundle_of("shop", config_map("a", x="2"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)


async def test_an_image_that_never_starts_is_progressing_and_a_later_bundle_mends_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        from knarr.agent.adapters.simulated.controllers import Faults

        b.cluster.change_faults(Faults(never_ready_images=("shop:2*",)))
        apps = b.assign(bundle_of("shop", deployment("web", "shop:2.0"), namespace="shop"))
        await b.state("shop", AppState.PROGRESSING, apps["shop"].digest)
        apps = b.assign(bundle_of("shop", deployment("web", "shop:3.0"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
