"""Documents to objects: lists flattened, namespaces filled in, what only a server writes taken out.

The result is what the agent applies and what the digest is made of. Every fault of every object is reported at once.
Leaves schemas to validate.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from knarr.bundle.canonical import Object, canonical_json, id_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import OWNER_LABEL, ObjectId
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.scope import CustomScopes, is_namespaced

_SERVER_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SEGMENT = re.compile(r"[^/%\x00]{1,253}")
_PATH_NAMED = frozenset({"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"})
DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An object as a renderer gave it, and where it came from."""

    manifest: Object
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """Objects in the order of their ids, their origins, and every fault."""

    objects: tuple[Object, ...] = ()
    origins: tuple[tuple[ObjectId, str], ...] = ()
    failures: tuple[Failure, ...] = ()


def flatten(value: Any, origin: str) -> Iterator[Found | Failure]:
    """The objects in one document: the items of a List, or the object itself."""
    if not isinstance(value, dict):
        yield failure("KNR2501", "the document is no object (apiVersion, kind, metadata.name)", origin=origin)
        return
    items = value.get("items")
    if str(value.get("kind", "")).endswith("List") and isinstance(items, list):
        for item in items:
            yield from flatten(item, origin)
        return
    missing = [key for key in ("apiVersion", "kind") if not isinstance(value.get(key), str) or not value[key]]
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        missing.append("metadata.name")
    if missing:
        hint = " (generateName makes another object at every apply)" if _generates(metadata) else ""
        yield failure("KNR2501", f"the document is no object: {', '.join(missing)} missing{hint}", origin=origin)
        return
    yield Found(manifest=value, origin=origin)


def normalise(found: Iterable[Found], namespace: str, scopes: CustomScopes, limits: Limits) -> Normalised:
    """Canonical objects of an app whose own namespace is `namespace` (empty: default)."""
    objects: dict[ObjectId, Object] = {}
    origins: dict[ObjectId, str] = {}
    failures: list[Failure] = []
    for item in found:
        manifest = _cleaned(item.manifest, namespace or DEFAULT_NAMESPACE, scopes)
        identity = id_of(manifest)
        failures.extend(_faults(manifest, identity, item.origin, scopes, limits))
        if identity in objects:
            message = f"{identity} is there twice: {origins[identity]} and {item.origin}"
            failures.append(failure("KNR2502", message, object_id=identity, origin=item.origin))
            continue
        objects[identity], origins[identity] = manifest, item.origin
    if len(objects) > limits.objects:
        failures.append(failure("KNR2507", f"{len(objects)} objects; an app has at most {limits.objects}"))
    ordered = sorted(objects)
    return Normalised(
        objects=tuple(objects[i] for i in ordered),
        origins=tuple((i, origins[i]) for i in ordered),
        failures=tuple(failures),
    )


def _cleaned(manifest: Object, namespace: str, scopes: CustomScopes) -> Object:
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in _SERVER_METADATA}
    for key in ("labels", "annotations"):
        if key in metadata and not metadata[key]:
            del metadata[key]
    if isinstance(metadata.get("annotations"), dict) and _LAST_APPLIED in metadata["annotations"]:
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != _LAST_APPLIED}
    if not metadata.get("namespace"):
        metadata.pop("namespace", None)
        if is_namespaced(manifest["apiVersion"], manifest["kind"], scopes):
            metadata["namespace"] = namespace
    return {k: v for k, v in {**manifest, "metadata": metadata}.items() if k != "status"}


def _faults(manifest: Object, identity: ObjectId, origin: str, scopes: CustomScopes, limits: Limits) -> list[Failure]:
    metadata, kind = manifest["metadata"], manifest["kind"]
    found = []
    fits = _SEGMENT.fullmatch(metadata["name"]) if kind in _PATH_NAMED else _SUBDOMAIN.fullmatch(metadata["name"])
    if not fits or metadata["name"] in (".", ".."):
        found.append(("KNR2503", f"{metadata['name'][:80]!r} is not a name that Kubernetes takes for a {kind}"))
    if "namespace" in metadata and not is_namespaced(manifest["apiVersion"], kind, scopes):
        found.append(("KNR2505", f"a {kind} has no namespace, but {metadata['namespace']!r:.80} is given"))
    if "namespace" in metadata and not _SUBDOMAIN.fullmatch(str(metadata["namespace"])):
        found.append(("KNR2503", f"{str(metadata['namespace'])[:80]!r} is not a namespace's name"))
    for key in ("labels", "annotations"):
        wrong = _not_text(metadata.get(key))
        if wrong:
            found.append(("KNR2510", f"metadata.{key}: {', '.join(wrong)} must be text (quote it)"))
    if isinstance(metadata.get("labels"), dict) and OWNER_LABEL in metadata["labels"]:
        found.append(("KNR2513", f"the label {OWNER_LABEL} is Knarr's own"))
    size = len(canonical_json(manifest))
    if size > limits.object_bytes:
        found.append(("KNR2508", f"{size} bytes; etcd takes at most {limits.object_bytes}"))
    return [failure(code, message, object_id=identity, origin=origin) for code, message in found]


def _not_text(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, dict):
        return ["the whole mapping"]
    return [repr(k)[:80] for k, v in value.items() if not isinstance(v, str)]


def _generates(metadata: Any) -> bool:
    return isinstance(metadata, dict) and bool(metadata.get("generateName"))
