"""Objects that others put into the cluster: adopted, refused, never overwritten blindly."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from knarr.bundle.header import Takeover
from knarr.local.kube import KubeCluster
from knarr.pipeline.report import AdoptionOutcome, AppState
from knarr.testkit.agent_bench import config_map, deployment
from knarr.testkit.kube_bench import Hand, kube_bench, rolled_out

pytestmark = pytest.mark.kube
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def kubectl_apply(kube: KubeCluster, manifest: dict[str, Any]) -> None:
    """Client-side, as people do it."""
    command = ["kubectl", "--kubeconfig", str(kube.kubeconfig), "apply", "-f", "-"]
    subprocess.run(command, input=json.dumps(manifest), text=True, check=True, capture_output=True, timeout=30)


def managers(found: dict[str, Any] | None) -> set[str]:
    assert found is not None
    return {e["manager"] for e in found["metadata"]["managedFields"] if not e.get("subresource")}


async def test_an_equal_object_is_adopted_and_a_different_one_refused_with_its_diff(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    hand = Hand(kube_cluster, namespace)
    await hand.create("configmaps", config_map("same", namespace, x="1"))
    await hand.create("configmaps", config_map("other", namespace, x="theirs"))
    async with kube_bench(kube_cluster, namespace) as b:
        maps = [config_map(name, namespace, x="1") for name in ("same", "other", "fresh")]
        b.assign(b.bundle("shop", *maps))
        failed = await b.failure("shop", "KNR4022")
        assert failed.object_id == f"/ConfigMap/{namespace}/other"
        assert "takeover: Always" in failed.next_step
        report = await b.report("shop", AppState.FAILED)
        told = {a.object_id.rpartition("/")[2]: a for a in report.adoptions}
        assert told["same"].outcome is AdoptionOutcome.ADOPTED
        assert told["other"].outcome is AdoptionOutcome.REFUSED
        assert told["other"].differences == ("data.x",)
        assert told["other"].previous_manager == "somebody"
        left = await hand.get("configmaps", "other")
        assert left is not None
        assert left["data"] == {"x": "theirs"}
        assert "labels" not in left["metadata"]
        assert await hand.get("configmaps", "fresh") is not None
        b.assign(b.bundle("shop", *maps, takeover=Takeover.ALWAYS))
        await b.healthy()
        taken = await hand.get("configmaps", "other")
        assert taken is not None
        assert taken["data"] == {"x": "1"}
        told = {a.object_id.rpartition("/")[2]: a for a in (await b.report("shop", AppState.HEALTHY)).adoptions}
        assert told["other"].outcome is AdoptionOutcome.ADOPTED
        assert told["other"].differences == ("data.x",)


async def test_takeover_never_leaves_what_exists_and_tells_the_difference(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    hand = Hand(kube_cluster, namespace)
    before = await hand.create("configmaps", config_map("a", namespace, x="theirs"))
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(
            b.bundle("shop", config_map("a", namespace, x="1"), config_map("b", namespace), takeover=Takeover.NEVER)
        )
        await b.failure("shop", "KNR4022")
        report = await b.report("shop", AppState.FAILED)
        assert [(a.outcome, a.differences) for a in report.adoptions] == [(AdoptionOutcome.REFUSED, ("data.x",))]
        assert await hand.get("configmaps", "a") == before
        assert await hand.get("configmaps", "b") is not None
        await hand.delete("configmaps", "a")
        b.assign(
            b.bundle("shop", config_map("a", namespace, x="2"), config_map("b", namespace), takeover=Takeover.NEVER)
        )
        await b.healthy()
        assert (await b.report("shop", AppState.HEALTHY)).adoptions == ()


async def test_an_object_that_another_made_since_we_looked_is_not_overwritten(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    """One list per kind and namespace tells what exists; what comes to be right after it must not be lost."""
    async with kube_bench(kube_cluster, namespace) as b:
        first = b.bundle("first", config_map("first", namespace), deployment("web", namespace=namespace))
        later = b.bundle("later", config_map("a", namespace, x="1"), depends_on=("first",))
        never = b.bundle("never", config_map("n", namespace, n="1"), depends_on=("first",), takeover=Takeover.NEVER)
        b.assign(first, later, never)
        await b.until("first", lambda r: r.applied_at_ms > 0)
        for name in ("a", "n"):
            await b.hand.create("configmaps", config_map(name, namespace, x="theirs", n="theirs"))
        await b.hand.status("deployments", "web", rolled_out(2))
        await b.failure("later", "KNR4022")
        await b.failure("never", "KNR4022")
        found = await b.hand.get("configmaps", "a")
        assert found is not None
        assert found["data"] == {"x": "theirs", "n": "theirs"}


async def test_ownership_moves_from_kubectl_client_side_apply(kube_cluster: KubeCluster, namespace: str) -> None:
    kubectl_apply(kube_cluster, config_map("a", namespace, x="1", old="1"))
    web = deployment("web", namespace=namespace)
    kubectl_apply(kube_cluster, web)
    hand = Hand(kube_cluster, namespace)
    found = await hand.get("configmaps", "a")
    assert managers(found) == {"kubectl-client-side-apply"}
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", namespace, x="1"), web))
        await b.failure("shop", "KNR4022")  # `old` would go, so it differs
        report = await b.report("shop", AppState.FAILED)
        told = {a.object_id.rpartition("/")[2]: a for a in report.adoptions}
        assert told["a"].differences == ("data.old",)
        assert told["web"].outcome is AdoptionOutcome.ADOPTED
        adopted = await hand.get("deployments", "web")
        assert adopted is not None
        assert managers(adopted) == {"knarr"}
        assert LAST_APPLIED not in adopted["metadata"].get("annotations", {})
        b.assign(b.bundle("shop", config_map("a", namespace, x="1"), web, takeover=Takeover.ALWAYS))
        await b.until("shop", lambda r: not r.failures)
        found = await hand.get("configmaps", "a")
        assert found is not None
        assert found["data"] == {"x": "1"}
        assert managers(found) == {"knarr"}
        assert LAST_APPLIED not in found["metadata"].get("annotations", {})


MARKS = {
    "helm": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "shop"},
    "kustomize-controller": {"kustomize.toolkit.fluxcd.io/name": "shop"},
    "helm-controller": {"helm.toolkit.fluxcd.io/name": "shop"},
    "argocd-controller": {"argocd.argoproj.io/tracking-id": "shop:/ConfigMap:shop/a"},
}


@pytest.mark.parametrize("by_server_side_apply", [False, True])
@pytest.mark.parametrize("manager", sorted(MARKS))
async def test_ownership_moves_from_other_appliers(
    kube_cluster: KubeCluster, namespace: str, manager: str, by_server_side_apply: bool
) -> None:
    theirs = config_map("a", namespace, x="1")
    theirs["metadata"]["annotations"] = MARKS[manager]
    hand = Hand(kube_cluster, namespace)
    if by_server_side_apply:
        await hand.apply("configmaps", theirs, manager=manager)
    else:
        path = f"{hand.path('configmaps')}?fieldManager={manager}"
        status, _ = await kube_cluster.request("POST", path, theirs)
        assert status == 201
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", namespace, x="1")))
        await b.healthy()
        found = await hand.get("configmaps", "a")
        assert found is not None
        assert managers(found) == {"knarr"}
        assert "annotations" not in found["metadata"]
        b.assign(b.bundle("shop", config_map("a", namespace, y="1")))
        await b.healthy()
        found = await hand.get("configmaps", "a")
        assert found is not None
        assert found["data"] == {"y": "1"}


async def test_managed_fields_survive_a_change_of_api_version(kube_cluster: KubeCluster, namespace: str) -> None:
    def scaler(version: str, **spec: Any) -> dict[str, Any]:
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        return {
            "apiVersion": f"autoscaling/{version}",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {"scaleTargetRef": target, "maxReplicas": 4, **spec},
        }

    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", scaler("v1", minReplicas=2, targetCPUUtilizationPercentage=70)))
        await b.until("shop", lambda r: r.applied_at_ms > 0)
        b.assign(b.bundle("shop", scaler("v2", metrics=[{"type": "Resource", "resource": cpu}])))
        await b.until("shop", lambda r: r.counts is not None and r.counts.configured == 1)
        found = await b.hand.get("horizontalpodautoscalers", "web")
        assert found is not None
        assert managers(found) == {"knarr"}
        assert found["spec"]["minReplicas"] == 1  # left out of the second one: gone, and defaulted
        await b.hand.edit("horizontalpodautoscalers", "web", {"spec": {"maxReplicas": 9}})
        await b.hand.until("horizontalpodautoscalers", "web", lambda f: f is not None and f["spec"]["maxReplicas"] == 4)
