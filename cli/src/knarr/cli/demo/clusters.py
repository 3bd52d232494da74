"""The demo's clusters: simulated ones in the state folder, or real API servers; both can be edited and looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from knarr.cli.install.clusters import LocalCluster

MISSING_IMAGES = ("*-missing",)


class Clusters(Protocol):
    """A hand and an eye in the demo's clusters, beside Knarr."""

    local: tuple[LocalCluster, ...]

    def how_to_look(self) -> str:
        """A command that shows a person what is in one of them; empty where there is none."""
        ...

    async def scale_by_hand(self, cluster: str, deployment: str, namespace: str, replicas: int) -> None:
        """Somebody changes a Deployment, as `kubectl scale` would."""
        ...

    async def replicas(self, cluster: str, deployment: str, namespace: str) -> int | None:
        """What the cluster has now; None when the Deployment is not there."""
        ...

    async def names_in(self, cluster: str, namespace: str) -> frozenset[str]:
        """Kind/name of the ConfigMaps, Deployments, Services and ServiceAccounts of a namespace."""
        ...


KINDS = (("", "ConfigMap"), ("apps", "Deployment"), ("", "Service"), ("", "ServiceAccount"))


@asynccontextmanager
async def simulated_clusters(folder: Path, names: tuple[str, ...]) -> AsyncIterator[Clusters]:
    """Behind the agent's `Cluster` port, in the state folder."""
    from knarr.cli.demo.simulated import SimulatedClusters

    yield SimulatedClusters(folder, names)


@asynccontextmanager
async def real_clusters(
    folder: Path, names: tuple[str, ...], progress: Callable[[str], None]
) -> AsyncIterator[Clusters]:
    """kube-apiserver, controller manager, scheduler and kwok for each name; one etcd."""
    from knarr.cli.demo.real import RealClusters
    from knarr.local.kube import KubeCluster, KubeFleet

    made: dict[str, KubeCluster] = {}

    async def make(fleet: KubeFleet, name: str) -> None:
        made[name] = await fleet.start_cluster(name, controllers=True)
        progress(f"{len(made)} of {len(names)} clusters are up")

    async with KubeFleet(folder) as fleet:
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(make(fleet, name))
        yield RealClusters({name: made[name] for name in names})
