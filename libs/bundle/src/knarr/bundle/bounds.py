"""What a source may touch: said in fleet.yaml, checked by the renderer, signed in the header, checked by the agent.

One rule for both checks. Whatever the bounds say, nobody's source touches the agent's own namespace, and the cluster's
own namespaces only where the source may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from knarr.bundle.canonical import group_of
from knarr.pipeline.names import AGENT_NAMESPACE

SYSTEM_NAMESPACES = frozenset({"kube-system", "kube-public", "kube-node-lease"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of one source. Names and kinds may hold `*`; None: any. A kind is `Kind` (core group) or `Kind.group`.

    `cluster_kinds`: kinds of objects without a namespace. `system_namespaces`: those of the cluster's own that the
    source may touch. `service_account`: on whose behalf everything of the source is done, whatever its apps say.
    """

    source: str = ""
    namespaces: tuple[str, ...] | None = None
    kinds: tuple[str, ...] | None = None
    cluster_kinds: tuple[str, ...] | None = None
    system_namespaces: tuple[str, ...] = ()
    adopt_namespaces: bool = False
    service_account: str = ""


UNBOUNDED = Bounds()


def breach(bounds: Bounds, manifest: Mapping[str, Any], *, own_namespace: str = AGENT_NAMESPACE) -> str:
    """Why the object is out of bounds, in words that name no value; empty when it is within."""
    kind, metadata = _kind(manifest), manifest.get("metadata") or {}
    place = str(metadata.get("namespace") or "")
    if not place:
        if kind == "Namespace" and (why := namespace_breach(bounds, str(metadata.get("name")), own_namespace)):
            return why
        return "" if _allowed(bounds.cluster_kinds, kind) else f"{_who(bounds)} may hold no {kind} of a whole cluster"
    if why := namespace_breach(bounds, place, own_namespace):
        return why
    return "" if _allowed(bounds.kinds, kind) else f"{_who(bounds)} may hold no {kind}"


def namespace_breach(bounds: Bounds, name: str, own_namespace: str = AGENT_NAMESPACE) -> str:
    """Why the source may touch nothing of the namespace; empty when it may."""
    if name in (own_namespace, AGENT_NAMESPACE):
        return f"namespace {name} is the agent's own, and nobody's source touches it"
    if name in SYSTEM_NAMESPACES and not _allowed(bounds.system_namespaces, name):
        return f"namespace {name} is the cluster's own; {_who(bounds)} may not touch it (bounds.systemNamespaces)"
    if name not in SYSTEM_NAMESPACES and not _allowed(bounds.namespaces, name):
        return f"{_who(bounds)} may not touch namespace {name}"
    return ""


def _who(bounds: Bounds) -> str:
    return f"source {bounds.source}" if bounds.source else "this source"


def _kind(manifest: Mapping[str, Any]) -> str:
    group, kind = group_of(str(manifest.get("apiVersion", ""))), str(manifest.get("kind", ""))
    return f"{kind}.{group}" if group else kind


def _allowed(patterns: tuple[str, ...] | None, name: str) -> bool:
    return patterns is None or any(fnmatchcase(name, p) for p in patterns)
