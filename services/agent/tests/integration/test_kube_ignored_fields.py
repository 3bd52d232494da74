"""An autoscaler's field on a real API server: through the scale subresource, with the server's own managedFields."""

from __future__ import annotations

import pytest

from knarr.bundle.header import IgnoredField
from knarr.bundle.packing import Bundle
from knarr.local.kube import KubeCluster
from knarr.testkit.agent_bench import deployment
from knarr.testkit.kube_bench import KubeBench, kube_bench

pytestmark = pytest.mark.kube
REPLICAS = IgnoredField(group="apps", kind="Deployment", pointers=("/spec/replicas",))


def scaled(b: KubeBench, image: str) -> Bundle:
    return b.bundle("shop", deployment("web", image, b.namespace), ignored_fields=(REPLICAS,))


async def test_the_autoscaler_keeps_its_replicas(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(scaled(b, "shop:1"))
        await b.hand.until("deployments", "web", lambda f: f is not None and f["spec"]["replicas"] == 2)
        path = b.hand.path("deployments", "web") + "/scale?fieldManager=autoscaler"
        status, answer = await kube_cluster.request(
            "PATCH", path, {"spec": {"replicas": 7}}, content_type="application/merge-patch+json"
        )
        assert status == 200, answer
        b.assign(scaled(b, "shop:2"))
        await b.hand.until(
            "deployments",
            "web",
            lambda f: f is not None and f["spec"]["template"]["spec"]["containers"][0]["image"] == "shop:2",
        )
        await b.hand.edit("deployments", "web", {"spec": {"paused": True, "minReadySeconds": 3}})
        await b.hand.edit("deployments", "web", {"metadata": {"labels": {"knarr.dev/app": "wrong"}}})
        report = await b.until("shop", lambda r: bool(r.drift))
        found = await b.hand.get("deployments", "web")
        assert found is not None
        assert found["spec"]["replicas"] == 7
        assert all("spec.replicas" not in d.paths for d in report.drift)
