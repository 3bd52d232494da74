"""An app against its source's bounds: the rule of libs/bundle, asked before anything leaves the renderer.

The agent asks it again, of what the header says. Called by build.py for objects and by app.py for the app itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from knarr.bundle.bounds import Bounds, breach, namespace_breach
from knarr.bundle.canonical import Object, id_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import ObjectId
from knarr.renderer.core.documents import App, Cluster
from knarr.renderer.core.failures import failure

_SHOWN = 10


def bounds_faults(objects: Iterable[Object], origins: Mapping[ObjectId, str], bounds: Bounds) -> Iterator[Failure]:
    """KNR2605 for every object that the source may not hold, hooks included."""
    for manifest in objects:
        why = breach(bounds, manifest)
        if why:
            identity = id_of(manifest)
            yield failure("KNR2605", why, object_id=identity, origin=origins.get(identity, ""))


def app_faults(app: App, bounds: Bounds) -> Iterator[Failure]:
    """KNR2605 for the app's own namespace, KNR2607 for another service account than the source's."""
    if app.namespace and (why := namespace_breach(bounds, app.namespace)):
        yield failure("KNR2605", why, origin=app.origin)
    named = app.policy.get("serviceAccount")
    if bounds.service_account and named not in (None, bounds.service_account):
        message = f"the app names the service account {named}, but its source is bound to {bounds.service_account}"
        yield failure("KNR2607", message, origin=app.origin)


def outside(source: str, clusters: tuple[Cluster, ...], origin: str) -> Failure:
    """KNR2606: a target names clusters that the source may not go to."""
    names = ", ".join(sorted(c.name for c in clusters)[:_SHOWN]) + (" ..." if len(clusters) > _SHOWN else "")
    return failure("KNR2606", f"apps of source {source} may not go to {names}", origin=origin)
