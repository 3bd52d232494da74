"""Many real clusters over one etcd: the door of this package for tests, benchmarks, demo and `knarr up`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from knarr.local.build import binary
from knarr.local.kube.cluster import ClusterOptions, KubeCluster
from knarr.local.kube.etcd import Etcd
from knarr.pipeline.errors import bug

_BARE = ("etcd", "kube-apiserver")
_WITH_PODS = ("kube-controller-manager", "kube-scheduler", "kwok")
_STARTING_AT_ONCE = 6


class KubeFleet:
    """`async with KubeFleet(folder) as fleet: cluster = await fleet.start_cluster("fra1", controllers=True)`.

    A `disposable` fleet (tests) does not flush to disk and is killed rather than stopped; another one finds its
    clusters' state again in the same folder. Builds Kubernetes on first use, which takes minutes.
    """

    def __init__(self, state_dir: Path, *, disposable: bool = True) -> None:
        self._state_dir, self._disposable = state_dir, disposable
        self._etcd: Etcd | None = None
        self._starting = asyncio.Semaphore(_STARTING_AT_ONCE)
        self.clusters: dict[str, KubeCluster] = {}

    async def __aenter__(self) -> Self:
        await _build(*_BARE)
        self._etcd = Etcd(binary("etcd"), self._state_dir / "etcd", durable=not self._disposable)
        await self._etcd.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # etcd last: an API server whose etcd is gone does not end on SIGTERM.
        try:
            async with asyncio.TaskGroup() as group:
                for cluster in self.clusters.values():
                    group.create_task(cluster.kill() if self._disposable else cluster.stop())
        finally:
            self.clusters.clear()
            if self._etcd is not None:
                await (self._etcd.process.kill() if self._disposable else self._etcd.process.stop())

    async def start_cluster(self, name: str, *, controllers: bool = False, collector: bool = False) -> KubeCluster:
        """Start the cluster `name`, with its earlier state if it has one; at most six start at the same moment.

        Bare by default: objects are stored, nothing acts on them, and foreground deletion never ends. `collector` adds
        garbage collection, namespace deletion and service accounts; `controllers` all that makes pods run.
        """
        if self._etcd is None:
            raise bug("KNR6116", "start_cluster outside `async with`")
        if controllers or collector:
            await _build(*_WITH_PODS)
        options = ClusterOptions(controllers=controllers, collector=collector)
        async with self._starting:
            cluster = KubeCluster(name, self._state_dir / "clusters" / name, self._etcd.url, options)
            await cluster.start()
        self.clusters[name] = cluster
        return cluster

    async def start_clusters(
        self, *names: str, controllers: bool = False, collector: bool = False
    ) -> list[KubeCluster]:
        """Start several, in the order of `names`."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self.start_cluster(name, controllers=controllers, collector=collector))
                for name in names
            ]
        return [task.result() for task in tasks]


async def _build(*names: str) -> None:
    for name in names:
        await asyncio.to_thread(binary, name)
