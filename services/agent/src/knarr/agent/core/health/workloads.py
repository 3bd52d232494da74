"""Deployments, StatefulSets, DaemonSets, ReplicaSets and Argo Rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.agent.core.health.value import CURRENT, Health, conditions_of, failed, in_progress, says


def deployment(found: Mapping[str, Any]) -> Health:
    """All replicas updated, available and the old ones gone."""
    status, wanted = _status(found), _replicas(found)
    if waits := _not_seen(found):
        return waits
    conditions = conditions_of(found)
    progressing = conditions.get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return failed(says(progressing))
    broken = conditions.get("ReplicaFailure", {})
    if broken.get("status") == "True":
        return failed(says(broken))
    return _rolled_out(status, wanted, conditions.get("Available", {}))


def _rolled_out(status: Mapping[str, Any], wanted: int, available: Mapping[str, Any]) -> Health:
    updated, total = _number(status, "updatedReplicas"), _number(status, "replicas")
    if updated < wanted:
        return in_progress(f"{updated} of {wanted} replicas updated")
    if total > updated:
        return in_progress(f"{total - updated} old replicas remain")
    if _number(status, "availableReplicas") < wanted:
        return in_progress(f"{_number(status, 'availableReplicas')} of {wanted} replicas available")
    if available and available.get("status") != "True":
        return in_progress(says(available))
    return CURRENT


def stateful_set(found: Mapping[str, Any]) -> Health:
    """All replicas ready and, but for OnDelete and partitions, at the newest revision."""
    status, spec, wanted = _status(found), found.get("spec") or {}, _replicas(found)
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return CURRENT
    if waits := _not_seen(found):
        return waits
    if _number(status, "readyReplicas") < wanted:
        return in_progress(f"{_number(status, 'readyReplicas')} of {wanted} replicas ready")
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    if _number(status, "updatedReplicas") < wanted - partition:
        return in_progress(f"{_number(status, 'updatedReplicas')} of {wanted - partition} replicas updated")
    if not partition and status.get("currentRevision") != status.get("updateRevision"):
        return in_progress("waits for the newest revision to become the current one")
    return CURRENT


def daemon_set(found: Mapping[str, Any]) -> Health:
    """Updated and available on every node that wants it."""
    status = _status(found)
    if waits := _not_seen(found):
        return waits
    wanted = _number(status, "desiredNumberScheduled")
    if ((found.get("spec") or {}).get("updateStrategy") or {}).get("type") != "OnDelete":
        updated = _number(status, "updatedNumberScheduled")
        if updated < wanted:
            return in_progress(f"updated on {updated} of {wanted} nodes")
    available = _number(status, "numberAvailable")
    return CURRENT if available >= wanted else in_progress(f"available on {available} of {wanted} nodes")


def replica_set(found: Mapping[str, Any]) -> Health:
    """All replicas available."""
    status, wanted = _status(found), _replicas(found)
    if waits := _not_seen(found):
        return waits
    broken = conditions_of(found).get("ReplicaFailure", {})
    if broken.get("status") == "True":
        return failed(says(broken))
    available = _number(status, "availableReplicas")
    if available < wanted:
        return in_progress(f"{available} of {wanted} replicas available")
    if _number(status, "replicas") > wanted:
        return in_progress(f"{_number(status, 'replicas') - wanted} replicas too many")
    return CURRENT


def argo_rollout(found: Mapping[str, Any]) -> Health:
    """By its phase; a paused canary is in progress, an aborted one failed."""
    status = _status(found)
    match status.get("phase"):
        case "Healthy":
            return CURRENT
        case "Degraded":
            return failed(str(status.get("message") or "the rollout is degraded"))
        case "Paused":
            return in_progress(str(status.get("message") or "the rollout is paused"))
    return in_progress(str(status.get("message") or "the rollout progresses"))


def _not_seen(found: Mapping[str, Any]) -> Health | None:
    generation = (found.get("metadata") or {}).get("generation") or 0
    if _number(_status(found), "observedGeneration") < generation:
        return in_progress("its controller has not seen the newest generation")
    return None


def _status(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return found.get("status") or {}


def _replicas(found: Mapping[str, Any]) -> int:
    wanted = (found.get("spec") or {}).get("replicas")
    return wanted if isinstance(wanted, int) else 1


def _number(status: Mapping[str, Any], name: str) -> int:
    found = status.get(name)
    return found if isinstance(found, int) else 0
