"""A dry run and a health rule against a real API server."""

from __future__ import annotations

import pytest

from knarr.bundle.header import HealthRule
from knarr.local.kube import KubeCluster
from knarr.pipeline.assignment import DryRun
from knarr.pipeline.codec import encode
from knarr.pipeline.report import AppState, PlanReport, StepAction
from knarr.testkit.agent_bench import config_map, deployment
from knarr.testkit.kube_bench import KubeBench, kube_bench

pytestmark = pytest.mark.kube


def secret(b: KubeBench, value: str) -> dict[str, object]:
    metadata = {"name": "s", "namespace": b.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": value}}


async def test_a_dry_run_is_answered_and_writes_nothing(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        now = b.bundle("shop", config_map("a", namespace, x="1"), secret(b, "correct-horse"))
        b.assign(now)
        await b.healthy("shop")
        before = await b.hand.get("secrets", "s")
        broken = deployment("broken", namespace=namespace)
        broken["spec"]["replicas"] = "many"
        elsewhere = config_map("c", f"{namespace}-new")
        place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"{namespace}-new"}}
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "dryruns.example.com"},
            "spec": {
                "group": "example.com",
                "names": {"kind": "DryRun", "plural": "dryruns", "singular": "dryrun", "listKind": "DryRunList"},
                "scope": "Namespaced",
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
                ],
            },
        }
        custom = {"apiVersion": "example.com/v1", "kind": "DryRun", "metadata": {"name": "d", "namespace": namespace}}
        asked = b.bundle(
            "shop",
            config_map("a", namespace, x="2"),
            secret(b, "battery-staple"),
            broken,
            place,
            elsewhere,
            definition,
            custom,
        )
        b.assign(now, dry_runs=(DryRun(request_id="q", app=b.prepared(asked)),))
        await b.hub.until(lambda: "plan q" in b.hub.reports)
        report = b.hub.reports["plan q"]
        assert isinstance(report, PlanReport)
        actions = {s.object_id: (s.action, s.differences) for s in report.steps if s.action is not StepAction.WAIT}
        assert actions[f"/ConfigMap/{namespace}/a"] == (StepAction.CONFIGURE, ("data.x",))
        assert actions[f"/Secret/{namespace}/s"] == (StepAction.CONFIGURE, ("data.password",))
        assert actions[f"/ConfigMap/{namespace}-new/c"] == (StepAction.CREATE, ())
        assert [(f.code, f.object_id) for f in report.failures] == [("KNR4013", f"apps/Deployment/{namespace}/broken")]
        wire = encode(report)
        assert b"horse" not in wire
        assert b"staple" not in wire
        assert await b.hand.get("secrets", "s") == before
        assert await b.hand.get("/api/v1/namespaces", f"{namespace}-new") is None


async def test_an_apps_own_health_rule(kube_cluster: KubeCluster, namespace: str) -> None:
    rule = HealthRule(kind="ConfigMap", healthy="object.data.ready == 'yes'", failed="object.data.ready == 'never'")
    async with kube_bench(kube_cluster, namespace) as b:
        for ready, state in {
            "no": AppState.PROGRESSING,
            "yes": AppState.HEALTHY,
            "never": AppState.DEGRADED,
        }.items():
            b.assign(b.bundle("shop", config_map("a", namespace, ready=ready), health_rules=(rule,)))
            await b.report("shop", state)
