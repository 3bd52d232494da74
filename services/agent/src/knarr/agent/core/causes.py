"""Why a workload does not become ready: what its pods say, for a person to read.

Pods belong to a workload by their owner references, directly or through a ReplicaSet; names prove nothing. Called by
explain, which reads the pods.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from knarr.agent.core.health.pods import trouble
from knarr.agent.core.objects import Kind
from knarr.pipeline.names import ObjectId

REPLICA_SET = Kind("apps", "ReplicaSet")
POD = Kind("", "Pod")
_THROUGH_REPLICA_SETS = frozenset({Kind("apps", "Deployment"), Kind("argoproj.io", "Rollout")})
_OF_PODS = frozenset(
    {Kind("apps", "StatefulSet"), Kind("apps", "DaemonSet"), Kind("batch", "Job"), REPLICA_SET} | _THROUGH_REPLICA_SETS
)
# The pause in a kubelet's message grows at each attempt; a report that follows it would never come to rest.
_GROWING_PAUSE = re.compile(r"back-off [0-9hms.]+ ")


def has_pods(kind: Kind) -> bool:
    """Whether objects of the kind make pods."""
    return kind in _OF_PODS


def has_replica_sets(kind: Kind) -> bool:
    """Whether its pods belong to it through ReplicaSets."""
    return kind in _THROUGH_REPLICA_SETS


def causes(
    workloads: Mapping[str, ObjectId], pods: Iterable[Mapping[str, Any]], replica_sets: Mapping[str, str]
) -> dict[ObjectId, str]:
    """One line for each workload (by UID) that has a pod in trouble; the newest such pod speaks for all.

    `replica_sets`: UID of a ReplicaSet → UID of what owns it.
    """
    found: dict[ObjectId, list[tuple[str, str, str]]] = {}
    for pod in pods:
        why = trouble(pod)
        if not why:
            continue
        for owner in _owners(pod, replica_sets):
            if owner in workloads:
                metadata = pod.get("metadata") or {}
                said = (str(metadata.get("creationTimestamp", "")), str(metadata.get("name", "")), why)
                found.setdefault(workloads[owner], []).append(said)
    return {identity: _line(sorted(said)) for identity, said in found.items()}


def owner_of(found: Mapping[str, Any]) -> str:
    """The UID of what controls an object; empty when nothing does."""
    for reference in (found.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference.get("uid", ""))
    return ""


def _owners(pod: Mapping[str, Any], replica_sets: Mapping[str, str]) -> Iterator[str]:
    direct = owner_of(pod)
    if direct:
        yield direct
        if above := replica_sets.get(direct):
            yield above


def _line(said: list[tuple[str, str, str]]) -> str:
    _, name, why = said[-1]
    others = f" (and {len(said) - 1} more)" if len(said) > 1 else ""
    return f"pod {name}{others}: {_GROWING_PAUSE.sub('back-off ', why)}"
