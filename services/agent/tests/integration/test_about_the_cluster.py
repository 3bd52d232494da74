"""Version and capabilities as they change; what cannot be read changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knarr.agent.about import About
from knarr.agent.adapters.kubernetes import KubernetesCluster, credentials
from knarr.agent.adapters.simulated.cluster import SimulatedCluster
from knarr.agent.ports import ClusterIdentity, Reading
from knarr.local.kube import KubeCluster
from knarr.testkit.cluster_conformance import definition, soon

IDENTITY = ClusterIdentity(uid="u", version="v1.36.0")
WIDGET = "conformance.knarr.dev/v1/Gauge"
BROKEN: dict[str, Any] = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1.silent.knarr.dev"},
    "spec": {
        "group": "silent.knarr.dev",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {"name": "nobody", "namespace": "default"},
    },
}


async def test_what_changes_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    async with SimulatedCluster(tmp_path) as cluster:
        about = About(cluster, IDENTITY, lambda: told.append("changed"))
        await about.look()
        assert (about.capabilities, about.version, told) == ((), "v1.36.0-simulated", ["changed"])
        await about.look()
        assert told == ["changed"]
        await cluster.apply(definition("gauges", "Gauge"), force=True)
        await soon(lambda: _serves(cluster, WIDGET))
        await about.look()
        assert (about.capabilities, told) == ((WIDGET,), ["changed", "changed"])


@pytest.mark.kube
async def test_an_aggregated_api_that_is_silent_takes_no_capability_away(kube_cluster: KubeCluster) -> None:
    services = "/apis/apiregistration.k8s.io/v1/apiservices"
    async with KubernetesCluster(await credentials(kube_cluster.kubeconfig, "")) as cluster:
        about = About(cluster, IDENTITY, lambda: None)
        await about.look()
        before = about.capabilities
        assert before is not None
        await kube_cluster.admin.create(services, BROKEN)
        try:
            await soon(lambda: _incomplete(cluster))
            await about.look()
            assert about.capabilities == before
        finally:
            await kube_cluster.request("DELETE", f"{services}/{BROKEN['metadata']['name']}")
        await soon(lambda: _serves(cluster))


async def _serves(cluster: Reading, *wanted: str) -> bool:
    found = await cluster.capabilities()
    return found is not None and {*wanted} <= {*found}


async def _incomplete(cluster: Reading) -> bool:
    return await cluster.capabilities() is None
