"""Small controllers: what a cluster's own would make of each object, a moment later.

Workloads become ready unless a fault says that their image never does, or their pods ask for another fate; then a pod
tells why, as in a real cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from knarr.agent.adapters.simulated.objects import Change, Key, Objects
from knarr.agent.adapters.simulated.pods import FAILED, IMAGE_PULL, fate_of, replica_set_of, stuck_pod

Status = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong in this cluster: image patterns (shell style) that never become ready."""

    never_ready_images: tuple[str, ...] = ()


@dataclass(slots=True)
class Controllers:
    """Listens to changes; writes status after `delay_seconds`. Owned by the simulated cluster."""

    objects: Objects
    delay_seconds: float = 0.05
    faults: Faults = Faults()
    _pending: dict[Key, asyncio.TimerHandle] = field(default_factory=dict)

    def start(self) -> None:
        """Needs a running event loop."""
        self.objects.listeners.append(self._noticed)
        for key in list(self.objects.found):
            self._plan(key)

    def stop(self) -> None:
        """No status is written after this."""
        for timer in self._pending.values():
            timer.cancel()
        self._pending.clear()

    def change_faults(self, faults: Faults) -> None:
        """Everything is looked at again under the new faults."""
        self.faults = faults
        for key in list(self.objects.found):
            self._plan(key)

    def _noticed(self, change: Change) -> None:
        if not change.deleted:
            self._plan(change.key)
            return
        if timer := self._pending.pop(change.key, None):
            timer.cancel()
        if (change.key[0], change.key[1]) in _SHOWN:
            self._collect(change.key)

    def _plan(self, key: Key) -> None:
        if (key[0], key[1]) in _RULES and key not in self._pending:
            loop = asyncio.get_running_loop()
            self._pending[key] = loop.call_later(self.delay_seconds, self._act, key)

    def _act(self, key: Key) -> None:
        self._pending.pop(key, None)
        found = self.objects.get(key)
        if found is None:
            return
        fate = self._fate(found)
        status = _RULES[(key[0], key[1])](found, fate)
        if status is not None and status != found.get("status"):
            self.objects.update(key, {"status": _replacing(found.get("status") or {}, status)}, manager="", status=True)
        self._show_pod(key, found, fate)

    def _fate(self, found: Mapping[str, Any]) -> str:
        for image in _images(found):
            if any(fnmatchcase(image, pattern) for pattern in self.faults.never_ready_images):
                return IMAGE_PULL
        return fate_of(found)

    def _show_pod(self, key: Key, owner: Mapping[str, Any], fate: str) -> None:
        if (key[0], key[1]) not in _SHOWN or owner["metadata"].get("ownerReferences"):
            return
        if not fate:
            self._collect(key)
            return
        place, between = _below(key)
        if key[1] == "Deployment":
            owner = self.objects.get(between) or self.objects.store(between, replica_set_of(owner), None)
        pod = stuck_pod(place[3], owner, fate, next(_images(owner), ""))
        shown = self.objects.get(place)
        if shown is None or shown["status"] != pod["status"]:
            self.objects.store(place, pod, shown)

    def _collect(self, key: Key) -> None:
        for owned in _below(key):
            if owned != key and (found := self.objects.get(owned)) and found["metadata"].get("ownerReferences"):
                self.objects.drop(owned)


def _below(key: Key) -> tuple[Key, Key]:
    return ("", "Pod", key[2], f"{key[3]}-0"), ("apps", "ReplicaSet", key[2], f"{key[3]}-1")


_SHOWN = frozenset({("apps", "Deployment"), ("apps", "StatefulSet"), ("apps", "DaemonSet"), ("batch", "Job")})


def _replacing(old: Status, new: Status) -> Status:
    return {**dict.fromkeys(old, None), **new}


def _images(found: Mapping[str, Any]) -> Iterator[str]:
    spec = found.get("spec") or {}
    template = (spec.get("template") or {}).get("spec") or spec
    for container in template.get("containers") or ():
        yield str(container.get("image", ""))


def _workload(found: Mapping[str, Any], stuck: str) -> Status:
    wanted = found["spec"].get("replicas", 1)
    ready = 0 if stuck else wanted
    condition = {"type": "Available", "status": "False" if stuck else "True", "reason": "MinimumReplicasAvailable"}
    if stuck:
        condition |= {
            "reason": "MinimumReplicasUnavailable",
            "message": "Deployment does not have minimum availability.",
        }
    return {
        "observedGeneration": found["metadata"].get("generation", 1),
        "replicas": wanted,
        "updatedReplicas": wanted,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "currentRevision": "1",
        "updateRevision": "1",
        "conditions": [condition],
    }


def _daemon_set(found: Mapping[str, Any], stuck: str) -> Status:
    ready = 0 if stuck else 1
    return {
        "observedGeneration": found["metadata"].get("generation", 1),
        "desiredNumberScheduled": 1,
        "updatedNumberScheduled": 1,
        "numberAvailable": ready,
        "numberReady": ready,
    }


def _job(found: Mapping[str, Any], stuck: str) -> Status | None:
    if stuck == FAILED:
        why = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}
        return {"failed": 1, "conditions": [{"type": "Failed", "status": "True", **why}]}
    if stuck:
        return {"active": 1}
    done = found["spec"].get("completions", 1)
    return {"succeeded": done, "conditions": [{"type": "Complete", "status": "True"}]}


def _pod(found: Mapping[str, Any], stuck: str) -> Status | None:
    if stuck or found["metadata"].get("uid", "").startswith("pod-"):
        return None
    return {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def _bound(_found: Mapping[str, Any], _stuck: str) -> Status:
    return {"phase": "Bound"}


def _active(_found: Mapping[str, Any], _stuck: str) -> Status:
    return {"phase": "Active"}


def _definition(_found: Mapping[str, Any], _stuck: str) -> Status:
    return {"conditions": [{"type": "NamesAccepted", "status": "True"}, {"type": "Established", "status": "True"}]}


def _service(found: Mapping[str, Any], _stuck: str) -> Status:
    if (found.get("spec") or {}).get("type") == "LoadBalancer":
        return {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    return {"loadBalancer": {}}


def _autoscaler(_found: Mapping[str, Any], _stuck: str) -> Status:
    return {"conditions": [{"type": "AbleToScale", "status": "True"}]}


_RULES: dict[tuple[str, str], Callable[[Mapping[str, Any], str], Status | None]] = {
    ("apps", "Deployment"): _workload,
    ("apps", "StatefulSet"): _workload,
    ("apps", "ReplicaSet"): _workload,
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "PersistentVolumeClaim"): _bound,
    ("", "Namespace"): _active,
    ("", "Service"): _service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
}
