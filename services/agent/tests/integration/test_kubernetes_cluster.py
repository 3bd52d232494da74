"""The real adapter on a real kube-apiserver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from knarr.agent.adapters.kubernetes import KubernetesCluster, credentials
from knarr.agent.core.objects import Ref
from knarr.local.kube import KubeCluster
from knarr.testkit.cluster_conformance import ClusterConformance

pytestmark = pytest.mark.kube
_PLURALS = {"ConfigMap": "configmaps", "Secret": "secrets", "Deployment": "deployments", "Service": "services"}


def path_of(ref: Ref) -> str:
    root = f"/apis/{ref.api_version}" if "/" in ref.api_version else f"/api/{ref.api_version}"
    return f"{root}/namespaces/{ref.namespace}/{_PLURALS[ref.kind]}/{ref.name}"


class AdminHand:
    def __init__(self, kube: KubeCluster) -> None:
        self._kube = kube

    async def edit(self, ref: Ref, patch: dict[str, Any], *, manager: str = "kubectl-edit") -> None:
        status, answer = await self._kube.request(
            "PATCH", f"{path_of(ref)}?fieldManager={manager}", patch, content_type="application/merge-patch+json"
        )
        assert status == 200, answer

    async def delete(self, ref: Ref) -> None:
        status, answer = await self._kube.request("DELETE", path_of(ref))
        assert status in (200, 202), answer


class TestKubernetesCluster(ClusterConformance):
    @pytest.fixture
    async def cluster(self, kube_cluster: KubeCluster) -> AsyncIterator[KubernetesCluster]:
        async with KubernetesCluster(await credentials(kube_cluster.kubeconfig, "")) as cluster:
            yield cluster

    @pytest.fixture
    def hand(self, kube_cluster: KubeCluster) -> AdminHand:
        return AdminHand(kube_cluster)
