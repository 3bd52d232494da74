"""Hooks on a whole cluster: real Jobs that complete, fail, and are replaced for the next bundle."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.local.kube import FATE_KEY, Fate, KubeCluster
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import config_map
from knarr.testkit.kube_bench import kube_bench

pytestmark = pytest.mark.kube
NAMESPACE = "hooks"


def hook(name: str, annotations: dict[str, str], fate: Fate = Fate.READY) -> dict[str, Any]:
    template = {
        "metadata": {"annotations": {FATE_KEY: fate.value}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "task:1"}]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "spec": {"backoffLimit": 0, "template": template},
    }


async def test_hooks_of_helm_and_ours(kube_controllers_cluster: KubeCluster) -> None:
    async with kube_bench(kube_controllers_cluster, NAMESPACE) as b:
        migrate = hook("migrate", {"helm.sh/hook": "pre-install,pre-upgrade"})
        gone = hook("gone", {"knarr.dev/hook": "post-apply", "knarr.dev/hook-delete-policy": "hook-succeeded"})
        b.assign(b.bundle("shop", migrate, gone, config_map("a", NAMESPACE, x="1")))
        await b.healthy("shop")
        first = await b.hand.get("jobs", "migrate")
        assert first is not None
        assert first["status"]["succeeded"] == 1
        await b.hand.until("jobs", "gone", lambda found: found is None)

        failing = hook("migrate", {"helm.sh/hook": "pre-install,pre-upgrade"}, Fate.FAILED)
        b.assign(b.bundle("shop", failing, config_map("a", NAMESPACE, x="2")))
        failure = await b.failure("shop", "KNR4043")
        assert failure.object_id == f"batch/Job/{NAMESPACE}/migrate"
        kept = await b.hand.get("configmaps", "a")
        assert kept is not None
        assert kept["data"] == {"x": "1"}

        b.assign(b.bundle("shop", migrate, config_map("a", NAMESPACE, x="3")))
        report = await b.report("shop", AppState.HEALTHY)
        assert report.object_count == 1
        again = await b.hand.get("jobs", "migrate")
        assert again is not None
        assert again["metadata"]["uid"] != first["metadata"]["uid"]
