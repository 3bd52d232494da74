"""Comparing an object that exists with what it would be after an apply: only paths, never values (I9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from knarr.agent.core.ownership import managers_of
from knarr.pipeline.names import OWNER_LABEL

_SERVER_FIELDS = frozenset({"managedFields", "resourceVersion", "generation"})
_MAX_PATHS = 20


def differences(live: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths in which the object would change, our own label aside; at most twenty."""
    found: list[str] = []
    for path in _unequal(_comparable(live), _comparable(after), ""):
        found.append(path)
        if len(found) == _MAX_PATHS:
            break
    return tuple(found)


def previous_manager(metadata: Mapping[str, Any]) -> str:
    """Who managed the object before, for the report."""
    return ", ".join(managers_of(metadata))


def _comparable(found: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {k: v for k, v in (found.get("metadata") or {}).items() if k not in _SERVER_FIELDS}
    labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != OWNER_LABEL}
    return {**{k: v for k, v in found.items() if k != "status"}, "metadata": {**metadata, "labels": labels}}


def _unequal(left: Any, right: Any, path: str) -> Iterator[str]:
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted({*left, *right}):
            yield from _unequal(left.get(key), right.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from _unequal(one, other, f"{path}[{index}]")
    elif left != right:
        yield path
