"""The demo's simulated clusters: hands through files dropped into their folders, eyes through their journals."""

from __future__ import annotations

import time
from pathlib import Path

from knarr.agent.adapters.simulated import outside
from knarr.agent.adapters.simulated.objects import Objects
from knarr.cli.demo.clusters import KINDS, MISSING_IMAGES
from knarr.cli.install.clusters import LocalCluster


class SimulatedClusters:
    """`folder` is where the installation keeps simulated clusters."""

    def __init__(self, folder: Path, names: tuple[str, ...]) -> None:
        self._folder = folder
        self.local = tuple(LocalCluster(name=name) for name in names)
        for name in names:
            (folder / name).mkdir(parents=True, exist_ok=True)
            outside.never_ready(folder / name, MISSING_IMAGES)

    def how_to_look(self) -> str:
        """They have no API server to ask."""
        return ""

    async def scale_by_hand(self, cluster: str, deployment: str, namespace: str, replicas: int) -> None:
        """A merge patch, as `kubectl edit` would make it."""
        target = f"apps/Deployment/{namespace}/{deployment}"
        outside.edit(self._folder / cluster, target, {"spec": {"replicas": replicas}})

    async def replicas(self, cluster: str, deployment: str, namespace: str) -> int | None:
        """What the journal says now."""
        found = self._objects(cluster).get(("apps", "Deployment", namespace, deployment))
        return None if found is None else int(found["spec"]["replicas"])

    async def names_in(self, cluster: str, namespace: str) -> frozenset[str]:
        """Kind/name of the objects of a namespace."""
        return frozenset(
            f"{kind}/{name}"
            for group, kind, space, name in self._objects(cluster).found
            if space == namespace and (group, kind) in KINDS
        )

    def _objects(self, cluster: str) -> Objects:
        objects = Objects(journal=None, clock=time.time)
        objects.replay((self._folder / cluster / "objects.journal").read_bytes())
        return objects
