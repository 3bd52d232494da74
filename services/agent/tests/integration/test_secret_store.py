"""Secrets of a real API server as the agent's store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from knarr.agent.adapters.kubernetes import KubernetesCluster, SecretStore, credentials
from knarr.agent.ports import Store
from knarr.local.kube import KubeCluster
from knarr.testkit.agent_store import StoreConformance

pytestmark = pytest.mark.kube


class TestSecretStore(StoreConformance):
    @pytest.fixture
    async def store(self, kube_cluster: KubeCluster, namespace: str) -> AsyncIterator[SecretStore]:
        self.namespace = f"{namespace}-store"
        async with KubernetesCluster(await credentials(kube_cluster.kubeconfig, "")) as cluster:
            self.cluster = cluster
            yield SecretStore(cluster, self.namespace)

    async def again(self, store: Store) -> Store:
        return SecretStore(self.cluster, self.namespace)
