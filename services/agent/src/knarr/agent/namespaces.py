"""The app's own namespace: created when it is missing, never owned, never pruned."""

from __future__ import annotations

from knarr.agent.core.objects import Ref, ref_of
from knarr.agent.ports import Cluster
from knarr.bundle.packing import Bundle


class Namespaces:
    """One per agent; remembers which ones it has seen to exist."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: set[str] = set()

    async def ensure(self, bundle: Bundle) -> None:
        """Creates the bundle's default namespace unless it exists or the bundle brings it as an object."""
        name = bundle.header.namespace
        if not name or name in self._known:
            return
        if any(ref_of(o).kind == "Namespace" and ref_of(o).name == name for o in bundle.objects):
            return
        ref = Ref(api_version="v1", kind="Namespace", namespace="", name=name)
        if await self._cluster.get(ref, metadata_only=True) is None:
            await self._cluster.create_namespace(name)
        self._known.add(name)

    def forget(self, name: str) -> None:
        """The cluster says that it is not there."""
        self._known.discard(name)
