"""Hands in the cluster: healed at the event, only told of, not ours to judge, or fought over."""

from __future__ import annotations

import time
from typing import Any

import pytest

from knarr.local.kube import KubeCluster
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import config_map, deployment
from knarr.testkit.kube_bench import kube_bench

pytestmark = pytest.mark.kube


async def test_an_edit_and_a_deletion_are_healed_at_the_event(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        web = deployment("web", namespace=namespace)
        b.assign(b.bundle("shop", config_map("a", namespace, x="1"), config_map("b", namespace), web))
        await b.until("shop", lambda r: r.applied_at_ms > 0)
        begun = time.monotonic()
        await b.hand.edit("configmaps", "a", {"data": {"x": "9"}})
        await b.hand.until("configmaps", "a", lambda f: f is not None and f["data"] == {"x": "1"})
        await b.hand.delete("configmaps", "b")
        await b.hand.until("configmaps", "b", lambda f: f is not None)
        image = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "evil:1"}]}}}}
        await b.hand.edit("deployments", "web", image)
        await b.hand.until("deployments", "web", lambda f: f is not None and image_of(f) == "shop:1")
        assert time.monotonic() - begun < 10
        report = await b.until("shop", lambda r: len(r.drift) == 3)
        told = {d.object_id.rpartition("/")[2]: d for d in report.drift}
        assert (told["a"].manager, told["a"].paths, told["a"].healed) == ("kubectl-edit", ("data.x",), True)
        assert told["b"].deleted
        assert told["web"].paths == ("spec.template.spec.containers[0].image",)


def image_of(found: dict[str, Any]) -> str:
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


async def test_without_healing_it_is_told_who_changed_what(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        maps = (config_map("a", namespace, x="1"), config_map("b", namespace))
        b.assign(b.bundle("shop", *maps, heal=False))
        await b.healthy()
        await b.hand.edit("configmaps", "a", {"data": {"x": "9"}}, manager="anna")
        await b.hand.delete("configmaps", "b")
        report = await b.until("shop", lambda r: r.state is AppState.DRIFTED and len(r.drift) == 2)
        told = {d.object_id.rpartition("/")[2]: d for d in report.drift}
        assert (told["a"].manager, told["a"].paths, told["a"].healed) == ("anna", ("data.x",), False)
        assert (told["b"].deleted, told["b"].healed) == (True, False)
        found = await b.hand.get("configmaps", "a")
        assert found is not None
        assert found["data"] == {"x": "9"}
        assert await b.hand.get("configmaps", "b") is None
        b.assign(b.bundle("shop", *maps))
        await b.healthy()
        assert await b.hand.get("configmaps", "b") is not None


async def test_fields_of_other_owners_are_no_drift(kube_cluster: KubeCluster, namespace: str) -> None:
    """An autoscaler's replicas, an injected caBundle, somebody's annotation: nothing is written, nothing told."""
    web = deployment("web", namespace=namespace)
    del web["spec"]["replicas"]
    webhook = {
        "name": "never.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/never"},
        "rules": [{"apiGroups": ["no.example.com"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*"]}],
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"{namespace}-injected"},
        "webhooks": [webhook],
    }
    place = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    async with kube_bench(kube_cluster, namespace) as b:
        maps = (config_map("a", namespace, x="1"), config_map("later", namespace))
        b.assign(b.bundle("shop", *maps, web, configuration))
        await b.until("shop", lambda r: r.applied_at_ms > 0)
        scaled = await b.hand.edit("deployments", "web", {"spec": {"replicas": 7}}, manager="autoscaler")
        bundle = [{**webhook, "clientConfig": {"url": "https://127.0.0.1:1/never", "caBundle": "Q0E="}}]
        injected = await b.hand.edit(place, f"{namespace}-injected", {"webhooks": bundle}, manager="ca-injector")
        noted = await b.hand.edit("configmaps", "a", {"metadata": {"annotations": {"note": "x"}}}, manager="anna")
        await b.hand.delete("configmaps", "later")
        await b.hand.until("configmaps", "later", lambda f: f is not None)
        for plural, before in (("deployments", scaled), ("configmaps", noted), (place, injected)):
            after = await b.hand.get(plural, before["metadata"]["name"])
            assert after is not None
            assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        report = await b.until("shop", lambda r: bool(r.drift))
        assert [d.object_id for d in report.drift] == [f"/ConfigMap/{namespace}/later"]


async def test_a_fight_is_named_and_not_fought(kube_cluster: KubeCluster, namespace: str) -> None:
    ahead = [0.0]
    async with kube_bench(kube_cluster, namespace, clock=lambda: time.time() + ahead[0]) as b:
        b.assign(b.bundle("shop", config_map("a", namespace, x="1"), config_map("b", namespace, x="1")))
        await b.healthy()
        for turn in range(4):
            await b.hand.edit("configmaps", "a", {"data": {"x": f"theirs {turn}"}}, manager="rival")
            await b.hand.until("configmaps", "a", lambda f: f is not None and f["data"] == {"x": "1"})
        failure = await b.failure("shop", "KNR4050")
        assert failure.object_id == f"/ConfigMap/{namespace}/a"
        assert "rival" in failure.message
        assert "data.x" in failure.message
        report = b.hub.app("shop")
        assert report is not None
        assert report.drift[-1].fight
        await b.hand.edit("configmaps", "a", {"data": {"x": "theirs"}}, manager="rival")
        await b.hand.edit("configmaps", "b", {"data": {"x": "9"}}, manager="anna")
        await b.hand.until("configmaps", "b", lambda f: f is not None and f["data"] == {"x": "1"})
        found = await b.hand.get("configmaps", "a")
        assert found is not None
        assert found["data"] == {"x": "theirs"}
        ahead[0] = 61.0
        await b.hand.edit("configmaps", "a", {"data": {"x": "theirs again"}}, manager="rival")
        await b.hand.until("configmaps", "a", lambda f: f is not None and f["data"] == {"x": "1"})
