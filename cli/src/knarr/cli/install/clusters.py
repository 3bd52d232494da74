"""Which clusters an installation has: contexts of a kubeconfig, and simulated ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from knarr.pipeline.errors import rejected
from knarr.pipeline.names import dns_label


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCluster:
    """A cluster whose agent runs on this machine. Simulated unless it has a context."""

    name: str
    kubeconfig: Path | None = None
    context: str = ""

    @property
    def simulated(self) -> bool:
        """Whether it exists only in the state folder."""
        return self.kubeconfig is None


def default_name(context: str) -> str:
    """A context's cluster name: lower-cased, other characters a hyphen."""
    return re.sub(r"[^a-z0-9-]", "-", context.lower()).strip("-")[:63].strip("-")


def from_contexts(asked: tuple[str, ...], kubeconfig: Path) -> tuple[LocalCluster, ...]:
    """`CONTEXT` or `CONTEXT=NAME`, as given on the command line."""
    found = []
    for text in asked:
        context, _, name = text.partition("=")
        cluster = dns_label(name or default_name(context), "cluster")
        found.append(LocalCluster(name=cluster, kubeconfig=kubeconfig, context=context))
    return tuple(found)


def simulated(count: int, documented: tuple[str, ...], taken: frozenset[str]) -> tuple[LocalCluster, ...]:
    """`count` simulated clusters: those that the fleet documents first, then sim-1, sim-2, …"""
    names = [name for name in documented if name not in taken]
    number = 1
    while len(names) < count:
        if f"sim-{number}" not in taken and f"sim-{number}" not in names:
            names.append(f"sim-{number}")
        number += 1
    return tuple(LocalCluster(name=name) for name in names[:count])


def without_clash(clusters: tuple[LocalCluster, ...]) -> tuple[LocalCluster, ...]:
    """The clusters themselves; KNR6202 when two have one name."""
    seen: dict[str, LocalCluster] = {}
    for cluster in clusters:
        other = seen.setdefault(cluster.name, cluster)
        if other is not cluster:
            raise rejected(
                "KNR6202",
                f"contexts {other.context!r} and {cluster.context!r} would both be cluster {cluster.name!r}",
            )
    return clusters
