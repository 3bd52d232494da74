"""Pods that do not start, on a whole cluster: their reason reaches the report, through the real owner references."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.local.kube import FATE_KEY, Fate, KubeCluster
from knarr.pipeline.report import AppReport, AppState
from knarr.testkit.agent_bench import deployment
from knarr.testkit.kube_bench import kube_bench

pytestmark = pytest.mark.kube
NAMESPACE = "pod-reasons"


def fated(name: str, fate: Fate | None, **pod: Any) -> dict[str, Any]:
    made = deployment(name, namespace=NAMESPACE)
    template = made["spec"]["template"]
    template["spec"] |= pod
    if fate is not None:
        template["metadata"] = {**template["metadata"], "annotations": {FATE_KEY: fate.value}}
    return made


def job(name: str, fate: Fate) -> dict[str, Any]:
    container = {"name": "main", "image": "task:1"}
    template = {
        "metadata": {"annotations": {FATE_KEY: fate.value}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"backoffLimit": 3, "template": template},
    }


async def test_what_pods_say_reaches_the_report(kube_controllers_cluster: KubeCluster) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "no-pods", "namespace": "pod-quota"},
        "spec": {"hard": {"pods": "0"}},
    }
    await kube_controllers_cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": "pod-quota"}})
    await kube_controllers_cluster.admin.create("/api/v1/namespaces/pod-quota/resourcequotas", quota)
    limited = deployment("limited", namespace="pod-quota")
    async with kube_bench(kube_controllers_cluster, NAMESPACE) as b:
        b.assign(
            b.bundle("pull", fated("pull", Fate.IMAGE_PULL)),
            b.bundle("crash", fated("crash", Fate.CRASH_LOOP)),
            b.bundle("nowhere", fated("nowhere", None, nodeSelector={"disk": "none"})),
            b.bundle("task", job("task", Fate.IMAGE_PULL)),
            b.bundle("limited", limited, namespace="pod-quota"),
        )
        for app, reason in {
            "pull": "ImagePullBackOff",
            "crash": "CrashLoopBackOff",
            "nowhere": "Unschedulable",
        }.items():
            report = await b.until(app, _says(reason))
            assert report.state is AppState.PROGRESSING
            assert report.message.startswith(f"Deployment.apps {NAMESPACE}/{app}: pod {app}-")
        assert (await b.until("task", _says("ImagePullBackOff"))).state is AppState.PROGRESSING
        failed = await b.failure("limited", "KNR4041")
        assert failed.object_id == "apps/Deployment/pod-quota/limited"
        assert "exceeded quota" in failed.message


def _says(reason: str) -> Any:
    def says(report: AppReport) -> bool:
        return any(reason in o.message for o in report.unhealthy)

    return says
