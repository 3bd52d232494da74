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
            return failed(trouble(found))
    if stuck := trouble(found):
        return failed(stuck)
    ready = conditions_of(found).get("Ready", {})
    return CURRENT if ready.get("status") == "True" else in_progress(says(ready) or "not ready yet")


def trouble(found: Mapping[str, Any]) -> str:
    """Why the pod does not run, in one line; empty when nothing is known to be wrong."""
    for container, state in _states(found, "state", "waiting"):
        if state.get("reason") in _STUCK:
            return f"container {container.get('name', '')}: {says(state)}{_last_end(container)}"
    scheduled = conditions_of(found).get("PodScheduled", {})
    if scheduled.get("reason") == "Unschedulable":
        return says(scheduled)
    status = found.get("status") or {}
    if status.get("phase") == "Failed":
        for container, state in _states(found, "state", "terminated"):
            if state.get("exitCode"):
                return f"container {container.get('name', '')} {_end(state)}"
        return says(status) or "the pod failed"
    return ""


def _last_end(container: Mapping[str, Any]) -> str:
    ended = (container.get("lastState") or {}).get("terminated")
    return f"; it last {_end(ended)}" if ended else ""


def _end(terminated: Mapping[str, Any]) -> str:
    said = f" ({says(terminated)})" if says(terminated) else ""
    return f"ended with exit code {terminated.get('exitCode')}{said}"


def _states(found: Mapping[str, Any], when: str, what: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    status = found.get("status") or {}
    for group in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(group) or ():
            if state := (container.get(when) or {}).get(what):
                yield container, state
