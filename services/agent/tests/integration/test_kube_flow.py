"""The whole flow on a real API server, with the agent's state in Secrets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

import pytest

from knarr.agent.adapters.kubernetes import KubernetesCluster, SecretStore, credentials
from knarr.agent.ports import Store
from knarr.local.kube import KubeCluster
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import config_map
from knarr.testkit.kube_bench import kube_bench

pytestmark = pytest.mark.kube


async def test_an_app_is_applied_changed_and_pruned(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        names = [f"n{i}" for i in range(8)]
        b.assign(b.bundle("shop", *(config_map(n, namespace, x="1") for n in names)))
        await b.healthy()
        first = await b.hand.get("configmaps", "n0")
        assert first is not None
        assert first["metadata"]["labels"] == {"knarr.dev/app": "shop"}
        b.assign(b.bundle("shop", *(config_map(n, namespace, x="2") for n in names[1:])))
        await b.healthy()
        assert await b.hand.get("configmaps", "n0") is None
        kept = await b.hand.get("configmaps", "n1")
        assert kept is not None
        assert kept["data"] == {"x": "2"}
        await b.hub.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 2)


async def test_an_assigned_app_that_is_unchanged_costs_no_write(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        bundle = b.bundle("shop", config_map("a", namespace, x="1"))
        b.assign(bundle)
        await b.healthy()
        before = await b.hand.get("configmaps", "a")
    async with kube_bench(kube_cluster, namespace, b.hub, generation=b.assigner.generation) as again:
        again.assign(bundle, again.bundle("other", config_map("b", namespace)))
        await again.healthy()
        assert await again.hand.get("configmaps", "a") == before


async def test_a_restart_without_a_hub_heals_on(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", namespace, x="1"), config_map("b", namespace, x="1")))
        await b.healthy()
        await b.hub.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)
    b.hub.offline = True
    await b.hand.edit("configmaps", "a", {"data": {"x": "9"}})
    async with kube_bench(kube_cluster, namespace, b.hub) as again:
        await again.hand.until("configmaps", "a", lambda f: f is not None and f["data"] == {"x": "1"})
        await again.hand.delete("configmaps", "b")
        await again.hand.until("configmaps", "b", lambda f: f is not None)
        sent = len(b.hub.history)
        b.hub.offline = False
        report = await again.until("shop", lambda r: len(r.drift) == 2)
        assert {d.manager for d in report.drift} == {"kubectl-edit", ""}
        assert len(b.hub.history) > sent


async def test_state_over_a_mebibyte_survives_a_restart(kube_cluster: KubeCluster, namespace: str) -> None:
    async with KubernetesCluster(await credentials(kube_cluster.kubeconfig, "")) as cluster:
        store = SecretStore(cluster, f"{namespace}-agent")
        large, changed = bytes(range(256)) * 8_000, bytes(range(255)) * 9_000
        await store.save({"bundle.large": large, "app.small": b"1"})
        await store.save({"app.small": b"2"})
        assert await SecretStore(cluster, f"{namespace}-agent").read("bundle.large") == large
        await store.save({"bundle.large": changed})
        fresh = SecretStore(cluster, f"{namespace}-agent")
        assert await fresh.load("") == {"bundle.large": changed, "app.small": b"2"}
        await fresh.save({"bundle.large": None})
        assert await SecretStore(cluster, f"{namespace}-agent").load("") == {"app.small": b"2"}
        assert await _chunks(kube_cluster, f"{namespace}-agent") == []


async def _chunks(kube: KubeCluster, namespace: str) -> list[str]:
    _, found = await kube.request("GET", f"/api/v1/namespaces/{namespace}/secrets?labelSelector=knarr.dev/state=chunk")
    return [item["metadata"]["name"] for item in found["items"]]


async def test_a_large_bundle_is_kept_in_chunks_and_healed_without_a_hub(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    def noise(n: int) -> str:  # digits that zstd can halve at best
        return "".join(hashlib.sha256(f"{n} {i}".encode()).hexdigest() for i in range(9_000))

    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", *(config_map(f"n{i}", namespace, x=noise(i)) for i in range(4))))
        await b.healthy()
        assert len(await _chunks(kube_cluster, f"{namespace}-agent")) >= 2
    b.hub.offline = True
    await b.hand.delete("configmaps", "n3")
    async with kube_bench(kube_cluster, namespace, b.hub) as again:
        found = await again.hand.until("configmaps", "n3", lambda f: f is not None)
        assert found is not None
        assert found["data"]["x"] == noise(3)


class DyingStore:
    """The real store; the agent gets no further than the first write of an app's record, or just before the second."""

    def __init__(self, real: Store, *, before_second: bool) -> None:
        self._real, self._before_second = real, before_second
        self._writes = 0
        self.reached = asyncio.Event()

    async def load(self, prefix: str) -> Mapping[str, bytes]:
        return await self._real.load(prefix)

    async def read(self, key: str) -> bytes | None:
        return await self._real.read(key)

    async def save(self, changes: Mapping[str, bytes | None]) -> None:
        self._writes += any(key.startswith("app.") for key in changes)
        if self._writes == 2:
            await self._die()
        await self._real.save(changes)
        if self._writes == 1 and not self._before_second:
            await self._die()

    async def _die(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


@pytest.mark.parametrize("applied", [False, True])
async def test_a_kill_around_the_apply_loses_nothing(kube_cluster: KubeCluster, namespace: str, applied: bool) -> None:
    """Killed after the write-ahead, before or after the objects were applied; a newer bundle comes meanwhile."""
    dying: list[DyingStore] = []

    def store(real: Store) -> Store:
        dying.append(DyingStore(real, before_second=applied))
        return dying[0]

    maps = [config_map(f"n{i}", namespace) for i in range(8)]
    async with kube_bench(kube_cluster, namespace, store=store) as b:
        b.assign(b.bundle("shop", *maps))
        await asyncio.wait_for(dying[0].reached.wait(), 20)
        assert (await b.hand.get("configmaps", "n7") is not None) == applied
    b.assign(b.bundle("shop", *maps[:7]))
    async with kube_bench(kube_cluster, namespace, b.hub) as again:
        again.apps = b.apps
        await again.healthy()
        assert [await again.hand.get("configmaps", f"n{i}") is not None for i in range(8)] == [True] * 7 + [False]


async def test_a_tombstone_removes_when_approved(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", namespace)))
        await b.healthy()
        b.assign(tombstones=("shop",))
        await b.report("shop", AppState.HELD)
        assert await b.hand.get("configmaps", "a") is not None
        b.assign(tombstones=("shop",), approvals=(b.assigner.removal("shop"),))
        await b.report("shop", AppState.REMOVED)
        assert await b.hand.get("configmaps", "a") is None
        assert await b.hand.get("/api/v1/namespaces", namespace) is not None


async def test_state_of_another_epoch_is_refused_and_adopt_takes_over(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", namespace, x="1"), config_map("b", namespace)))
        await b.healthy()
    with pytest.raises(KnarrError) as refused:
        async with kube_bench(kube_cluster, namespace, epoch="another"):
            raise AssertionError("it must not start")
    assert refused.value.code == "KNR4006"
    async with kube_bench(kube_cluster, namespace, epoch="another", adopt=True) as b:
        assert await b.hand.get("configmaps", "a") is not None
        b.assign(b.bundle("shop", config_map("a", namespace, x="2"), config_map("b", namespace)))
        await b.healthy()
        found = await b.hand.get("configmaps", "a")
        assert found is not None
        assert found["data"] == {"x": "2"}
