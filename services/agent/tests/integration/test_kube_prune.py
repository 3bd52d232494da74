"""What may be deleted, in which order, and what is never: on a real API server."""

from __future__ import annotations

import time
from typing import Any

import pytest

from knarr.bundle.header import Takeover
from knarr.local.kube import KubeCluster
from knarr.pipeline.assignment import Approval
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import config_map, deployment
from knarr.testkit.cluster_conformance import definition
from knarr.testkit.kube_bench import BINDINGS, POLICIES, Hand, KubeBench, kube_bench

pytestmark = pytest.mark.kube
HOLD = {"metadata": {"finalizers": ["example.com/hold"]}}


def account(name: str, namespace: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


async def applied(b: KubeBench, *leaving: dict[str, Any], **policy: Any) -> list[dict[str, Any]]:
    """An app with these objects and ten that stay; the ten."""
    staying = [config_map(f"stays{i}", b.namespace) for i in range(10)]
    b.assign(b.bundle("shop", *staying, *leaving, **policy))
    await b.until("shop", lambda r: r.applied_at_ms > 0 and not r.failures)
    return staying


async def test_an_object_that_lost_our_label_or_was_replaced_is_left_alone(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        leaving = (config_map("unlabelled", namespace), config_map("replaced", namespace))
        staying = await applied(b, *leaving, heal=False, takeover=Takeover.NEVER)
        await b.hand.edit("configmaps", "unlabelled", {"metadata": {"labels": {"knarr.dev/app": None}}})
        await b.hand.delete("configmaps", "replaced")
        theirs = config_map("replaced", namespace, x="theirs")
        theirs["metadata"]["labels"] = {"knarr.dev/app": "shop"}
        await b.hand.create("configmaps", theirs)
        await b.failure("shop", "KNR4022")
        b.assign(b.bundle("shop", *staying, heal=False, takeover=Takeover.NEVER))
        await b.healthy()
        assert await b.hand.get("configmaps", "unlabelled") is not None
        assert await b.hand.get("configmaps", "replaced") is not None


async def test_an_object_with_the_keep_annotation_stays(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        kept = config_map("kept", namespace)
        kept["metadata"]["annotations"] = {"knarr.dev/prune": "keep"}
        staying = await applied(b, kept, config_map("goes", namespace))
        b.assign(b.bundle("shop", *staying))
        await b.healthy()
        assert await b.hand.get("configmaps", "goes") is None
        assert await b.hand.get("configmaps", "kept") is not None


async def test_a_finalizer_that_holds_is_named_and_what_follows_waits(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    """Identities go last: the ServiceAccount may be what the finalizer's controller needs."""
    async with kube_bench(kube_cluster, namespace) as b:
        staying = await applied(b, config_map("held", namespace), account("runner", namespace))
        await b.hand.edit("configmaps", "held", HOLD)
        b.assign(b.bundle("shop", *staying))
        report = await b.until("shop", lambda r: "example.com/hold" in r.message)
        assert report.state is AppState.PROGRESSING
        assert f"ConfigMap {namespace}/held" in report.message
        assert await b.hand.get("serviceaccounts", "runner") is not None
        await b.hand.edit("configmaps", "held", {"metadata": {"finalizers": None}})
        await b.healthy()
        assert await b.hand.get("configmaps", "held") is None
        assert await b.hand.get("serviceaccounts", "runner") is None


async def test_a_deletion_that_is_denied_stays_in_the_inventory(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        staying = await applied(b, config_map("guarded", namespace), config_map("goes", namespace))
        await b.hand.deny("DELETE", "configmaps", "!(oldObject.metadata.name == 'guarded')", "the house forbids it")
        await until_denied(b.hand, "guarded")
        b.assign(b.bundle("shop", *staying))
        failure = await b.failure("shop", "KNR4015")
        assert failure.object_id == f"/ConfigMap/{namespace}/guarded"
        assert await b.hand.get("configmaps", "goes") is None
        report = b.hub.app("shop")
        assert report is not None
        assert report.object_count == 11
        await allow(b.hand)
        await until_allowed(b.hand, "guarded")
        b.assign(b.bundle("shop", *staying, config_map("another", namespace)))
        await b.healthy()
        assert await b.hand.get("configmaps", "guarded") is None


async def allow(hand: Hand) -> None:
    await hand.delete(BINDINGS, hand.namespace)
    await hand.delete(POLICIES, hand.namespace)


async def until_denied(hand: Hand, name: str) -> None:
    """The API server looks at its policies a moment later."""
    await _trial(hand, name, 422)


async def until_allowed(hand: Hand, name: str) -> None:
    await _trial(hand, name, 200)


async def _trial(hand: Hand, name: str, wanted: int) -> None:
    path, deadline = hand.path("configmaps", name) + "?dryRun=All", time.monotonic() + 20
    while (status := (await hand.kube.request("DELETE", path))[0]) != wanted:
        assert time.monotonic() < deadline, status


async def test_an_object_that_moves_between_apps_keeps_its_uid(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        left, right = ([config_map(f"{side}{i}", namespace) for i in range(8)] for side in ("left", "right"))
        moving = config_map("moving", namespace, x="1")
        b.assign(b.bundle("left", moving, *left), b.bundle("right", *right))
        await b.healthy()
        before = await b.hand.get("configmaps", "moving")
        b.assign(b.bundle("left", *left), b.bundle("right", moving, *right))
        await b.healthy()
        after = await b.hand.get("configmaps", "moving")
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["metadata"]["labels"] == {"knarr.dev/app": "right"}
        # The one that let go is removed whole: what moved away is not touched.
        b.assign(b.bundle("right", moving, *right), tombstones=("left",), approvals=(b.assigner.removal("left"),))
        await b.hub_state("left", AppState.REMOVED)
        assert await b.hand.get("configmaps", "moving") is not None
        assert await b.hand.get("configmaps", "left0") is None


async def test_definitions_wait_for_an_approval_of_their_kind(kube_cluster: KubeCluster, namespace: str) -> None:
    crd = definition("thirds", "Third")
    async with kube_bench(kube_cluster, namespace) as b:
        staying = await applied(b, crd)
        less = b.bundle("shop", *staying)
        apps = b.assign(less)
        await b.failure("shop", "KNR4031")
        place = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        assert await b.hand.get(place, crd["metadata"]["name"]) is not None
        b.assign(less, approvals=(Approval(app="shop", digest=apps["shop"].digest, protected=True),))
        await b.hand.until(place, crd["metadata"]["name"], lambda f: f is None or "deletionTimestamp" in f["metadata"])


async def test_an_immutable_field_is_refused_or_recreated_where_the_app_says_so(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    def web(label: str) -> dict[str, Any]:
        manifest = deployment("web", namespace=namespace)
        manifest["spec"]["selector"] = {"matchLabels": {"app": label}}
        manifest["spec"]["template"]["metadata"]["labels"] = {"app": label}
        return manifest

    async with kube_bench(kube_cluster, namespace) as b:
        await applied(b, web("one"))
        before = await b.hand.get("deployments", "web")
        assert before is not None
        b.assign(b.bundle("shop", web("two"), config_map("beside", namespace)))
        failure = await b.failure("shop", "KNR4020")
        assert failure.object_id == f"apps/Deployment/{namespace}/web"
        assert "recreate: true" in failure.next_step
        assert await b.hand.get("configmaps", "beside") is not None
        b.assign(b.bundle("shop", web("two"), config_map("beside", namespace), recreate=True, prune=False))
        await b.until("shop", lambda r: not r.failures and r.applied_at_ms > 0)
        after = await b.hand.get("deployments", "web")
        assert after is not None
        assert after["metadata"]["uid"] != before["metadata"]["uid"]


IMMUTABLE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a Secret": (
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "immutable": True, "stringData": {"x": "1"}},
        {"stringData": {"x": "2"}},
        "secrets",
    ),
    "a Service": (
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}},
        {"spec": {"ports": [{"port": 80}], "clusterIP": "None"}},
        "services",
    ),
    "a RoleBinding": (
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "a"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"},
        },
        {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "two"}},
        "rolebindings",
    ),
    "a Job": (
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "a"},
            "spec": {
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "one"}]}},
            },
        },
        {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "two"}]}}}},
        "jobs",
    ),
}


@pytest.mark.parametrize("what", sorted(IMMUTABLE))
async def test_what_the_server_calls_immutable_is_recreated(
    kube_cluster: KubeCluster, namespace: str, what: str
) -> None:
    manifest, change, plural = IMMUTABLE[what]
    manifest = {**manifest, "metadata": {"name": "a", "namespace": namespace}}
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", manifest, recreate=True))
        await b.until("shop", lambda r: r.applied_at_ms > 0)
        before = await b.hand.get(plural, "a")
        b.assign(b.bundle("shop", {**manifest, **change}, recreate=True))
        await b.until("shop", lambda r: not r.failures and r.applied_at_ms > 0 and r.counts is not None)
        after = await b.hand.get(plural, "a")
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] != before["metadata"]["uid"]


async def test_a_volume_claim_is_never_recreated(kube_cluster: KubeCluster, namespace: str) -> None:
    def claim(mode: str) -> dict[str, Any]:
        spec = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}}
        metadata = {"name": "data", "namespace": namespace}
        return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}

    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", claim("ReadWriteOnce"), recreate=True))
        await b.until("shop", lambda r: r.applied_at_ms > 0)
        before = await b.hand.get("persistentvolumeclaims", "data")
        b.assign(b.bundle("shop", claim("ReadOnlyMany"), recreate=True))
        await b.failure("shop", "KNR4020")
        after = await b.hand.get("persistentvolumeclaims", "data")
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert "deletionTimestamp" not in after["metadata"]
