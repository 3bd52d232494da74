"""Real clusters on this machine: apart in one etcd, with pods that roll out, crash and wait, and through a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from knarr.local.kube import DELAY_KEY, FATE_KEY, Fate, KubeCluster, KubeFleet
from knarr.pipeline.errors import KnarrError

pytestmark = [pytest.mark.kube, pytest.mark.timeout(900)]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[KubeFleet]:
    async with KubeFleet(tmp_path) as started:
        yield started


def _pod_template(fate: Fate, **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "web"}, "annotations": {FATE_KEY: fate.value, **annotations}},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    }


def _deployment(name: str, replicas: int = 3) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}]},
            },
        },
    }


def _config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}


async def _pod_with(cluster: KubeCluster, fate: Fate, **annotations: str) -> str:
    body = {"apiVersion": "v1", "kind": "Pod", **_pod_template(fate, **annotations)}
    body["metadata"]["name"] = fate.value
    status, answer = await cluster.request("POST", "/api/v1/namespaces/default/pods", body)
    assert status == 201, answer
    return f"/api/v1/namespaces/default/pods/{fate.value}"


def _waiting_for(reason: str) -> Any:
    def holds(pod: dict[str, Any]) -> bool:
        containers = pod["status"].get("containerStatuses", [])
        return bool(containers) and containers[0]["state"].get("waiting", {}).get("reason") == reason

    return holds


def _condition(pod: dict[str, Any], kind: str) -> str | None:
    return next((c["status"] for c in pod["status"].get("conditions", []) if c["type"] == kind), None)


async def test_two_clusters_on_one_etcd_share_nothing(fleet: KubeFleet) -> None:
    one, two = await fleet.start_clusters("one", "two")

    status, _ = await one.request("POST", "/api/v1/namespaces/default/configmaps", _config_map("only-in-one"))
    assert status == 201

    path = "/api/v1/namespaces/default/configmaps/only-in-one"
    assert (await one.request("GET", path))[0] == 200
    assert (await two.request("GET", path))[0] == 404
    uids = {(await c.request("GET", "/api/v1/namespaces/kube-system"))[1]["metadata"]["uid"] for c in (one, two)}
    assert len(uids) == 2
    assert (await two.request("GET", "/api", token=one.admin_token))[0] == 401


async def test_a_killed_api_server_comes_back_with_its_state_on_the_same_address(fleet: KubeFleet) -> None:
    cluster = await fleet.start_cluster("one")
    await cluster.request("POST", "/api/v1/namespaces/default/configmaps", _config_map("kept"))
    url, token, authority = cluster.url, cluster.admin_token, cluster.ca_file.read_bytes()

    await cluster.restart_api_server()

    assert (cluster.url, cluster.admin_token, cluster.ca_file.read_bytes()) == (url, token, authority)
    assert (await cluster.request("GET", "/api/v1/namespaces/default/configmaps/kept"))[0] == 200


async def test_the_server_says_its_real_version(fleet: KubeFleet) -> None:
    cluster = await fleet.start_cluster("one")
    _, version = await cluster.request("GET", "/version")
    assert version["gitVersion"] == "v1.36.3"
    assert (version["major"], version["minor"]) == ("1", "36")


async def test_rbac_holds_for_a_service_account_token(fleet: KubeFleet) -> None:
    cluster = await fleet.start_cluster("one")
    base = "/api/v1/namespaces/default/serviceaccounts"
    await cluster.request("POST", base, {"metadata": {"name": "agent"}})
    status, answer = await cluster.request("POST", f"{base}/agent/token", {"spec": {"expirationSeconds": 600}})
    assert status == 201, answer
    token = answer["status"]["token"]

    assert (await cluster.request("GET", "/api/v1/namespaces/default/secrets", token=token))[0] == 403
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    await cluster.request(
        "POST",
        f"{rbac}/roles",
        {"metadata": {"name": "reader"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]},
    )
    await cluster.request(
        "POST",
        f"{rbac}/rolebindings",
        {
            "metadata": {"name": "reader"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "name": "agent", "namespace": "default"}],
        },
    )
    await cluster.admin.until(f"{rbac}/rolebindings/reader", lambda _: True)
    assert await _answers_eventually(cluster, token) == 200


async def _answers_eventually(cluster: KubeCluster, token: str) -> int:
    # The authorizer learns of a binding through its own watch, a moment after it is stored.
    for _ in range(100):
        status, _answer = await cluster.request("GET", "/api/v1/namespaces/default/secrets", token=token)
        if status == 200:
            break
    return status


async def test_pods_meet_the_fate_they_ask_for(fleet: KubeFleet) -> None:
    cluster = await fleet.start_cluster("pods", controllers=True)

    deployments = "/apis/apps/v1/namespaces/default/deployments"
    status, answer = await cluster.request("POST", deployments, _deployment("web"))
    assert status == 201, answer
    await cluster.admin.until(f"{deployments}/web", lambda d: d.get("status", {}).get("availableReplicas") == 3)

    jobs = "/apis/batch/v1/namespaces/default/jobs"
    job_pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "once", "image": "once:1"}]}}
    await cluster.request("POST", jobs, {"metadata": {"name": "once"}, "spec": {"template": job_pod}})
    await cluster.admin.until(f"{jobs}/once", lambda j: j.get("status", {}).get("succeeded") == 1)

    crash = await _pod_with(cluster, Fate.CRASH_LOOP)
    image = await _pod_with(cluster, Fate.IMAGE_PULL)
    never = await _pod_with(cluster, Fate.NEVER_READY)
    slow = await _pod_with(cluster, Fate.SLOW_START, **{DELAY_KEY: "300ms"})
    failed = await _pod_with(cluster, Fate.FAILED)

    await cluster.admin.until(crash, _waiting_for("CrashLoopBackOff"))
    await cluster.admin.until(crash, lambda p: p["status"]["containerStatuses"][0]["restartCount"] >= 2)
    await cluster.admin.until(image, _waiting_for("ImagePullBackOff"))
    pod = await cluster.admin.until(never, lambda p: p["status"]["phase"] == "Running")
    assert _condition(pod, "Ready") == "False"
    await cluster.admin.until(slow, lambda p: _condition(p, "Ready") == "True")
    await cluster.admin.until(failed, lambda p: p["status"]["phase"] == "Failed")


async def test_the_collector_finishes_a_foreground_deletion_and_a_namespace(fleet: KubeFleet) -> None:
    cluster = await fleet.start_cluster("collected", collector=True)
    maps = "/api/v1/namespaces/shop/configmaps"
    await cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    await cluster.request("POST", maps, _config_map("one"))

    await cluster.request("DELETE", f"{maps}/one", {"propagationPolicy": "Foreground"})
    await cluster.admin.until(maps, lambda found: all(i["metadata"]["name"] != "one" for i in found["items"]))
    await cluster.request("DELETE", "/api/v1/namespaces/shop")
    namespaces = "/api/v1/namespaces"
    await cluster.admin.until(namespaces, lambda found: all(i["metadata"]["name"] != "shop" for i in found["items"]))


async def test_a_lasting_fleet_finds_its_clusters_again(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    async with KubeFleet(tmp_path, disposable=False) as fleet:
        cluster = await fleet.start_cluster("one")
        await cluster.request("POST", path, _config_map("kept"))
        _, before = await cluster.request("GET", "/api/v1/namespaces/kube-system")

    async with KubeFleet(tmp_path, disposable=False) as fleet:
        cluster = await fleet.start_cluster("one")
        assert (await cluster.request("GET", f"{path}/kept"))[0] == 200
        _, after = await cluster.request("GET", "/api/v1/namespaces/kube-system")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


async def test_a_frozen_api_server_answers_nothing_until_it_is_thawed(fleet: KubeFleet) -> None:
    cluster = await fleet.start_cluster("one")
    cluster.freeze_api_server()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await cluster.request("GET", "/version")
    cluster.thaw_api_server()
    assert (await cluster.request("GET", "/version"))[0] == 200


async def test_a_cluster_that_cannot_start_leaves_nothing_running(fleet: KubeFleet, tmp_path: Path) -> None:
    (tmp_path / "clusters" / "broken").mkdir(parents=True)
    (tmp_path / "clusters" / "broken" / "service-accounts.pem").write_text("no key")
    with pytest.raises(KnarrError, match="KNR6110"):
        await fleet.start_cluster("broken")
    assert list((tmp_path / "clusters" / "broken").glob("*.pid")) == []
    assert "broken" not in fleet.clusters
