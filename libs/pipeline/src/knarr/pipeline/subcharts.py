"""How charts/ holds a dependency: the fetcher and the renderer must mean the same by it."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.pipeline.versions import version_of

ARCHIVES = (".tgz", ".tar.gz")


def packed_version(entry: str, name: str) -> str:
    """The version of chart `name` that an entry of charts/ packs; empty for any other, as `redis-cluster-1.0.0.tgz`."""
    for ending in ARCHIVES:
        if entry.startswith(f"{name}-") and entry.endswith(ending):
            version = entry.removeprefix(f"{name}-").removesuffix(ending)
            return version if version_of(version) is not None else ""
    return ""


def vendored(name: str, entries: Iterable[str]) -> tuple[str, ...]:
    """The entries of charts/ that hold the dependency: its folder, and its archives."""
    return tuple(entry for entry in entries if entry == name or packed_version(entry, name))
