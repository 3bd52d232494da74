"""Pods, and the reasons that a person needs to read when one does not start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from knarr.agent.core.health.value import CURRENT, Health, conditions_of, failed, in_progress, says

_STUCK = frozenset(
    {
        "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "CrashLoopBackOff",
        "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
    }
)  # fmt: skip


def pod(found: Mapping[str, Any]) -> Health:
    """Ready or succeeded is current; a container that cannot start is failed."""
    status = found.get("status") or {}
    match status.get("phase"):
        case "Succeeded":
            return CURRENT
        case "Failed":
            return failed(trouble(found) or str(status.get("message") or status.get("reason") or "the pod failed"))
    if stuck := trouble(found):
        return failed(stuck)
    ready = conditions_of(found).get("Ready", {})
    return CURRENT if ready.get("status") == "True" else in_progress(says(ready) or "not ready yet")


def trouble(found: Mapping[str, Any]) -> str:
    """Why the pod does not run, in one line; empty when nothing is known to be wrong."""
    for name, state in _waiting(found):
        if state.get("reason") in _STUCK:
            return f"container {name}: {says(state)}"
    scheduled = conditions_of(found).get("PodScheduled", {})
    if scheduled.get("reason") == "Unschedulable":
        return says(scheduled)
    return ""


def _waiting(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    status = found.get("status") or {}
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(group) or ():
            if state := (container.get("state") or {}).get("waiting"):
                yield str(container.get("name", "")), state
