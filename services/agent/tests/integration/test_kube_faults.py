"""An API server that restarts, hangs, throttles, forgets versions or tokens: nothing is lost, nothing is pruned."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from knarr.agent.adapters.kubernetes import credentials
from knarr.local.kube import KubeCluster, KubeFleet
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import config_map
from knarr.testkit.kube_bench import Hand, kube_bench
from knarr.testkit.kube_proxy import KubeProxy, kube_proxy, status
from knarr.testkit.loop_thread import LoopThread

pytestmark = pytest.mark.kube


@pytest.fixture(scope="module")
def fragile(kube_fleet: KubeFleet, server_loop: LoopThread) -> KubeCluster:
    """A cluster whose API server these tests may kill."""
    return server_loop.call(kube_fleet.start_cluster("fragile"), deadline_seconds=120)


@pytest.fixture
async def place(fragile: KubeCluster, namespace: str) -> str:
    await fragile.admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    return namespace


async def there(loop: LoopThread, what: Coroutine[Any, Any, None]) -> None:
    """In the loop that owns the servers."""
    await asyncio.to_thread(loop.call, what, deadline_seconds=60)


async def through(proxy: KubeProxy, kube: KubeCluster) -> Any:
    """The administrator's credentials, by way of the proxy."""
    configuration = await credentials(kube.kubeconfig, "")
    configuration.host = proxy.url
    return configuration


async def test_a_restart_in_the_middle_of_an_apply(fragile: KubeCluster, place: str, server_loop: LoopThread) -> None:
    async with kube_bench(fragile, place) as b:
        maps = [config_map(f"n{i}", place, x="1") for i in range(200)]
        b.assign(b.bundle("first", *maps[:100]), b.bundle("second", *maps[100:]))
        await b.hand.until("configmaps", "n5", lambda f: f is not None)
        await there(server_loop, fragile.restart_api_server())
        await b.healthy()
        await b.hand.edit("configmaps", "n7", {"data": {"x": "9"}})  # watches have come back
        await b.hand.until("configmaps", "n7", lambda f: f is not None and f["data"] == {"x": "1"})
        _, found = await fragile.request("GET", b.hand.path("configmaps"))
        assert len([o for o in found["items"] if o["metadata"]["name"].startswith("n")]) == 200


async def test_a_server_that_hangs_is_waited_for(fragile: KubeCluster, place: str) -> None:
    async with kube_bench(fragile, place) as b:
        b.assign(b.bundle("shop", config_map("a", place, x="1")))
        await b.healthy()
        fragile.freeze_api_server()
        try:
            b.assign(b.bundle("shop", config_map("a", place, x="2")))
            await b.hub.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)
        finally:
            fragile.thaw_api_server()
        await b.healthy()


async def test_an_agent_that_starts_while_the_server_is_away(
    fragile: KubeCluster, place: str, server_loop: LoopThread
) -> None:
    async with kube_bench(fragile, place) as b:
        b.assign(b.bundle("shop", config_map("a", place, x="1")))
        await b.healthy()
    await there(server_loop, fragile.kill_api_server())
    with pytest.raises(Exception, match="KNR4012"):
        async with kube_bench(fragile, place, b.hub):
            raise AssertionError("it cannot start")
    await there(server_loop, fragile.start_api_server())
    await Hand(fragile, place).delete("configmaps", "a")
    async with kube_bench(fragile, place, b.hub) as again:
        await again.hand.until("configmaps", "a", lambda f: f is not None)


async def test_a_storm_of_429_is_sat_out_without_a_failure(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_proxy(kube_cluster) as proxy:
        async with kube_bench(kube_cluster, namespace, configuration=await through(proxy, kube_cluster)) as b:
            refused: list[str] = []

            def storm(request: web.Request) -> web.Response | None:
                if request.method == "PATCH" and "/configmaps/" in request.path and len(refused) < 6:
                    refused.append(request.path)
                    return status(429, "TooManyRequests", "too many requests", Retry_After="1")
                return None

            proxy.rule = storm
            b.assign(b.bundle("shop", *(config_map(f"n{i}", namespace) for i in range(10))))
            await b.healthy()
            assert len(refused) == 6
            assert AppState.FAILED not in [t.state for r in b.hub.history for t in getattr(r, "transitions", ())]


async def test_a_lasting_storm_is_named_and_ends_by_itself(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_proxy(kube_cluster) as proxy:
        async with kube_bench(kube_cluster, namespace, configuration=await through(proxy, kube_cluster)) as b:
            proxy.rule = lambda r: (
                status(429, "TooManyRequests", Retry_After="0") if "/configmaps/bad" in r.path else None
            )
            b.assign(b.bundle("shop", config_map("bad", namespace), config_map("good", namespace)))
            failure = await b.failure("shop", "KNR4018")
            assert failure.retryable
            assert await b.hand.get("configmaps", "good") is not None
            proxy.rule = lambda _request: None
            await b.healthy()


async def test_a_watch_whose_version_is_gone_lists_again(kube_cluster: KubeCluster, namespace: str) -> None:
    """An edit that no event told of is found by the new list."""
    async with kube_proxy(kube_cluster) as proxy:
        async with kube_bench(kube_cluster, namespace, configuration=await through(proxy, kube_cluster)) as b:
            b.assign(b.bundle("shop", config_map("a", namespace, x="1"), config_map("b", namespace)))
            await b.healthy()
        proxy.rule = lambda r: status(410, "Expired", "too old resource version") if "watch" in r.query else None
        await b.hand.edit("configmaps", "a", {"data": {"x": "9"}})
        async with kube_bench(
            kube_cluster, namespace, b.hub, configuration=await through(proxy, kube_cluster)
        ) as again:
            await again.hand.until("configmaps", "a", lambda f: f is not None and f["data"] == {"x": "1"})
            await again.hand.delete("configmaps", "b")
            await again.hand.until("configmaps", "b", lambda f: f is not None)
            lists = [path for method, path, _ in proxy.seen if method == "GET" and "/configmaps?limit" in path]
            assert len(lists) < 100  # backed off, not a tight loop


async def test_a_failed_list_prunes_nothing(kube_cluster: KubeCluster, namespace: str) -> None:
    """I1: an API server that answers a list with an error has not said that there is nothing."""
    async with kube_proxy(kube_cluster) as proxy:
        async with kube_bench(kube_cluster, namespace, configuration=await through(proxy, kube_cluster)) as b:
            maps = [config_map(f"n{i}", namespace) for i in range(8)]
            b.assign(b.bundle("shop", *maps))
            await b.healthy()
        proxy.rule = lambda r: status(500, "InternalError") if r.method == "GET" and "/configmaps" in r.path else None
        async with kube_bench(
            kube_cluster, namespace, b.hub, configuration=await through(proxy, kube_cluster)
        ) as again:
            again.assigner.generation = b.assigner.generation
            again.assign(again.bundle("shop", *maps[:7]))
            await again.failure("shop", "KNR4012")
            assert await again.hand.get("configmaps", "n7") is not None
            proxy.rule = lambda _request: None
            await again.healthy()
            assert await again.hand.get("configmaps", "n7") is None


async def test_an_expired_token_is_read_again(kube_cluster: KubeCluster, namespace: str, tmp_path: Path) -> None:
    """As in a pod: the kubelet replaces the token's file, and the old token stops to be accepted."""
    token, kubeconfig = tmp_path / "token", tmp_path / "kubeconfig"
    token.write_text(await powerful_token(kube_cluster, namespace))
    async with kube_proxy(kube_cluster) as proxy:
        kubeconfig.write_text(json.dumps(with_token_file(proxy.url, token)))
        old = f"Bearer {token.read_text()}"
        async with kube_bench(kube_cluster, namespace, configuration=await credentials(kubeconfig, "")) as b:
            b.assign(b.bundle("shop", config_map("a", namespace, x="1")))
            await b.healthy()
            token.write_text(kube_cluster.admin_token)
            proxy.rule = lambda r: status(401, "Unauthorized") if r.headers["Authorization"] == old else None
            b.assign(b.bundle("shop", config_map("a", namespace, x="2")))
            await b.healthy()
            assert AppState.FAILED not in [t.state for r in b.hub.history for t in getattr(r, "transitions", ())]


async def test_a_token_that_stays_refused_is_named(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_proxy(kube_cluster) as proxy:
        async with kube_bench(kube_cluster, namespace, configuration=await through(proxy, kube_cluster)) as b:
            b.assign(b.bundle("shop", config_map("a", namespace, x="1")))
            await b.healthy()
            proxy.rule = lambda _request: status(401, "Unauthorized")
            b.assign(b.bundle("shop", config_map("a", namespace, x="2")))
            await b.hub.until(
                lambda: (r := b.hub.cluster_report()) is not None and "KNR4019" in {f.code for f in r.failures}
            )
            assert await b.hand.get("configmaps", "a") is not None
            proxy.rule = lambda _request: None
            await b.healthy()


async def powerful_token(kube: KubeCluster, namespace: str) -> str:
    """A real token of a service account that may do anything."""
    await kube.admin.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "agent"}})
    subject = {"kind": "ServiceAccount", "name": "agent", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": f"{namespace}-agent"}, "roleRef": role, "subjects": [subject]}
    await kube.admin.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/agent/token"
    code, made = await kube.request("POST", path, {"spec": {"expirationSeconds": 600}})
    assert code == 201, made
    return str(made["status"]["token"])


def with_token_file(url: str, token: Path) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"tokenFile": str(token)}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }


async def test_an_assignment_that_comes_while_the_server_is_away_is_kept_later(
    fragile: KubeCluster, place: str, server_loop: LoopThread
) -> None:
    async with kube_bench(fragile, place) as b:
        b.assign(b.bundle("shop", config_map("a", place, x="1")))
        await b.healthy()
        await there(server_loop, fragile.kill_api_server())
        b.assign(b.bundle("shop", config_map("a", place, x="2")))
        await b.hub.until(
            lambda: (r := b.hub.cluster_report()) is not None and "KNR4012" in {f.code for f in r.failures}
        )
        await there(server_loop, fragile.start_api_server())
        await b.healthy()
        assert not b.running.done()
