"""The app's own namespace: created when it is missing, never owned, never pruned."""

from __future__ import annotations

from knarr.agent.core.objects import Ref, ref_of
from knarr.agent.perform import Performed
from knarr.agent.ports import Cluster
from knarr.bundle.bounds import namespace_breach
from knarr.bundle.packing import Bundle


class Namespaces:
    """One per agent; remembers which ones it has seen to exist."""

    def __init__(self, cluster: Cluster, own_namespace: str) -> None:
        self._cluster = cluster
        self._own = own_namespace
        self._known: set[str] = set()

    async def ensure(self, bundle: Bundle) -> None:
        """Creates the bundle's default namespace unless it exists or the bundle brings it as an object.

        None that the app's source may not touch: what lies in it is refused object by object.
        """
        name = bundle.header.namespace
        if not name or name in self._known or namespace_breach(bundle.header.bounds, name, self._own):
            return
        if any(ref_of(o).kind == "Namespace" and ref_of(o).name == name for o in bundle.objects):
            return
        ref = Ref(api_version="v1", kind="Namespace", namespace="", name=name)
        if await self._cluster.get(ref, metadata_only=True) is None:
            await self._cluster.create_namespace(name)
        self._known.add(name)

    def lost(self, name: str, performed: Performed) -> bool:
        """Whether the cluster says that it is gone or going; it is looked for (and made) again at the next pass."""
        said = {r.failure.code for r in performed.results if r.failure and r.step.ref.namespace == name}
        if not said & {"KNR4016", "KNR4027"}:
            return False
        self._known.discard(name)
        return "KNR4016" in said
