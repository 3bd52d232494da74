"""Which clusters an installation has: contexts of a kubeconfig, and simulated ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from knarr.pipeline.errors import rejected
from knarr.pipeline.names import dns_label

_MOST_SHOWN = 8


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
    """`CONTEXT` or `CONTEXT=NAME`, as given on the command line. KNR6208 when the kubeconfig has no such context."""
    found = []
    known = contexts_in(kubeconfig.read_bytes()) if asked else ()
    for text in asked:
        context, name = (text, "") if text in known else _parted(text)
        if context not in known:
            raise rejected("KNR6208", f"{kubeconfig} has no context {context!r}; it has {_listed(known)}")
        cluster = dns_label(name or default_name(context), "cluster")
        found.append(LocalCluster(name=cluster, kubeconfig=kubeconfig, context=context))
    return tuple(found)


def contexts_in(kubeconfig: bytes) -> tuple[str, ...]:
    """The contexts that a kubeconfig has, sorted. KNR6208 when it is no kubeconfig."""
    try:
        document = yaml.safe_load(kubeconfig)
        return tuple(sorted(str(entry["name"]) for entry in document.get("contexts") or ()))
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise rejected("KNR6208", "the file given is not a kubeconfig") from error


def _parted(text: str) -> tuple[str, str]:
    # A context may hold an equals sign itself; a cluster's name never does.
    context, _, name = text.rpartition("=")
    return (context, name) if context else (text, "")


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:_MOST_SHOWN]) or "none"
    return shown + (f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else "")


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
