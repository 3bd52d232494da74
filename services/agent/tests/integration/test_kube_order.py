"""What goes in first and last, what waits for what, and what a missing or dying namespace means."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.local.kube import KubeCluster
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import config_map, deployment
from knarr.testkit.cluster_conformance import definition
from knarr.testkit.kube_bench import kube_bench, rolled_out

pytestmark = pytest.mark.kube
GROUP = "/apis/conformance.knarr.dev/v1"


def custom(kind: str, name: str, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "conformance.knarr.dev/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"size": 1},
    }


def in_wave(manifest: dict[str, Any], wave: int) -> dict[str, Any]:
    annotations = {"knarr.dev/wave": str(wave)}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


async def test_definitions_and_their_objects_in_one_bundle_work_at_first_try(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        kinds = [f"First{n}" for n in range(4)]
        objects = [definition(f"first{n}s", kind) for n, kind in enumerate(kinds)]
        objects += [custom(kind, "a", namespace) for kind in kinds]
        b.assign(b.bundle("shop", *objects))
        await b.report("shop", AppState.HEALTHY, 10)
        states = [t.state for r in b.hub.history for t in getattr(r, "transitions", ())]
        assert AppState.FAILED not in states
        for n in range(4):
            assert await b.hand.get(f"{GROUP}/namespaces/{namespace}/first{n}s", "a") is not None
        # and it is watched from the first moment
        await b.hand.edit(f"{GROUP}/namespaces/{namespace}/first0s", "a", {"spec": {"size": 9}})
        place = f"{GROUP}/namespaces/{namespace}/first0s"
        await b.hand.until(place, "a", lambda f: f is not None and f["spec"]["size"] == 1)


async def test_an_object_whose_definition_another_app_brings_comes_once_it_is_there(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        user = b.bundle("user", custom("Second", "a", namespace), depends_on=("operator",))
        b.assign(user, b.bundle("operator", definition("seconds", "Second")))
        await b.healthy()


async def test_a_wave_waits_until_the_one_before_is_healthy(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        last = in_wave(config_map("last", namespace), 1)
        b.assign(b.bundle("shop", last, deployment("web", namespace=namespace)))
        report = await b.until("shop", lambda r: "waits for" in r.message)
        assert f"Deployment.apps {namespace}/web" in report.message
        assert await b.hand.get("configmaps", "last") is None
        await b.hand.status("deployments", "web", rolled_out(2))
        await b.healthy()
        assert await b.hand.get("configmaps", "last") is not None


async def test_newer_intent_ends_a_wait_at_once(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        last = in_wave(config_map("last", namespace), 1)
        b.assign(b.bundle("shop", last, deployment("web", namespace=namespace)))
        await b.until("shop", lambda r: "waits for" in r.message)
        b.assign(
            b.bundle("shop", config_map("last", namespace, x="2"), deployment("web", "shop:2", namespace=namespace))
        )
        await b.hand.until("configmaps", "last", lambda f: f is not None, 5)


async def test_an_app_begins_when_what_it_depends_on_becomes_healthy(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(
            b.bundle("front", config_map("front", namespace), depends_on=("back",)),
            b.bundle("back", deployment("web", namespace=namespace)),
        )
        await b.until("back", lambda r: r.applied_at_ms > 0)
        waiting = await b.hub_state("front", AppState.WAITING)
        assert "waits for app back" in waiting.message
        assert not waiting.failures
        assert await b.hand.get("configmaps", "front") is None
        await b.hand.status("deployments", "web", rolled_out(2))
        await b.report("front", AppState.HEALTHY, 5)


async def test_webhook_configurations_come_last(kube_cluster: KubeCluster, namespace: str) -> None:
    """One that refuses everything in the namespace must not stand in the way of its own bundle."""
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", refusing(namespace), *(config_map(f"n{i}", namespace) for i in range(5))))
        await b.healthy()
        b.assign(b.bundle("shop", refusing(namespace), *(config_map(f"n{i}", namespace, x="2") for i in range(5))))
        failure = await b.failure("shop", "KNR4017")
        assert failure.object_id == f"/ConfigMap/{namespace}/n0"
        assert failure.retryable
        await b.hand.delete("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", namespace)


def refusing(namespace: str) -> dict[str, Any]:
    """A webhook that is down and whose failure policy is Fail, for one namespace."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [
            {
                "name": "down.example.com",
                "clientConfig": {"url": "https://127.0.0.1:1/down"},
                "rules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 1,
            }
        ],
    }


async def test_a_missing_namespace_is_made_and_belongs_to_nobody(kube_cluster: KubeCluster, namespace: str) -> None:
    fresh = f"{namespace}-fresh"
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", fresh), namespace=fresh))
        await b.healthy()
        found = await b.hand.get("/api/v1/namespaces", fresh)
        assert found is not None
        assert "knarr.dev/app" not in found["metadata"]["labels"]
        report = b.hub.app("shop")
        assert report is not None
        assert report.object_count == 1


async def test_a_namespace_that_is_neither_there_nor_ours_fails_only_its_objects(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", f"{namespace}-none"), config_map("b", namespace)))
        failure = await b.failure("shop", "KNR4016")
        assert failure.object_id == f"/ConfigMap/{namespace}-none/a"
        assert failure.next_step
        assert await b.hand.get("configmaps", "b") is not None


async def test_a_namespace_on_its_way_out_is_named_and_refilled_when_it_is_gone(
    kube_cluster: KubeCluster, namespace: str
) -> None:
    dying = f"{namespace}-dying"
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", dying), namespace=dying))
        await b.healthy()
        await b.hand.delete("/api/v1/namespaces", dying)  # nothing finalizes it here: it stays on its way out
        await b.hand.delete(f"/api/v1/namespaces/{dying}/configmaps", "a")
        failure = await b.failure("shop", "KNR4027")
        assert failure.retryable
        path = f"/api/v1/namespaces/{dying}/finalize"
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": dying}, "spec": {"finalizers": []}}
        assert (await kube_cluster.request("PUT", path, body))[0] == 200
        await b.hand.until("/api/v1/namespaces", dying, lambda f: f is not None)
        await b.healthy()
        assert await b.hand.get(f"/api/v1/namespaces/{dying}/configmaps", "a") is not None
