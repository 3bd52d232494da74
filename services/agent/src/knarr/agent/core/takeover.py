"""Comparing an object that exists with what it would be after an apply: only paths, never values (I9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from knarr.agent.core.ownership import managers_of
from knarr.pipeline.names import OWNER_LABEL

_SERVER_FIELDS = frozenset({"managedFields", "resourceVersion", "generation"})
# By these, other appliers find their objects again: they go when the object becomes ours, and are no difference.
_MARKS = frozenset(
    {
        OWNER_LABEL,
        "kubectl.kubernetes.io/last-applied-configuration",
        "meta.helm.sh/release-name", "meta.helm.sh/release-namespace",
        "helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace",
        "kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace",
        "argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id",
        "app.kubernetes.io/managed-by",
    }
)  # fmt: skip
_MAX_PATHS = 20


def differences(live: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths in which the object would change, appliers' own labels and annotations aside; at most twenty."""
    return tuple(islice(_unequal(_comparable(live), _comparable(after), ""), _MAX_PATHS))


def previous_manager(metadata: Mapping[str, Any]) -> str:
    """Who managed the object before, for the report."""
    return ", ".join(managers_of(metadata))


def _comparable(found: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {k: v for k, v in (found.get("metadata") or {}).items() if k not in _SERVER_FIELDS}
    for place in ("labels", "annotations"):
        metadata[place] = {k: v for k, v in (metadata.get(place) or {}).items() if k not in _MARKS}
    return {**{k: v for k, v in found.items() if k != "status"}, "metadata": metadata}


def _unequal(left: Any, right: Any, path: str) -> Iterator[str]:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted({*left, *right}):
            yield from _unequal(left.get(key), right.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _unequal(one, other, f"{path}[{index}]")
    elif left != right:
        yield path
