"""The simulated cluster does what the real one does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from knarr.agent.adapters.simulated.cluster import SimulatedCluster
from knarr.agent.core.objects import Ref
from knarr.bundle.canonical import group_of
from knarr.testkit.cluster_conformance import ClusterConformance


class SimulatedHand:
    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster

    async def edit(self, ref: Ref, patch: dict[str, Any], *, manager: str = "kubectl-edit") -> None:
        key = (group_of(ref.api_version), ref.kind, ref.namespace, ref.name)
        self._cluster.edit(key, patch, manager)

    async def delete(self, ref: Ref) -> None:
        self._cluster.remove((group_of(ref.api_version), ref.kind, ref.namespace, ref.name))


class TestSimulatedCluster(ClusterConformance):
    @pytest.fixture
    async def cluster(self, tmp_path: Path) -> AsyncIterator[SimulatedCluster]:
        async with SimulatedCluster(tmp_path, ready_after_seconds=0.01) as cluster:
            yield cluster

    @pytest.fixture
    async def namespace(self, cluster: SimulatedCluster) -> str:
        await cluster.create_namespace("conformance")
        return "conformance"

    @pytest.fixture
    def hand(self, cluster: SimulatedCluster) -> SimulatedHand:
        return SimulatedHand(cluster)
