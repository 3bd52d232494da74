"""The pods of workloads that do not become ready, as a real cluster would show them; the others' are left out.

A pod template chooses its fate with the label or annotation `knarr.dev/fate`, in the words of the real test clusters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FATE_KEY = "knarr.dev/fate"
IMAGE_PULL = "image-pull"
FAILED = "failed"
_TIME = "2026-01-01T00:00:00Z"


def fate_of(found: Mapping[str, Any]) -> str:
    """What becomes of the pods of this workload (or of this pod); empty when they become ready."""
    template = (found.get("spec") or {}).get("template") or found
    metadata = template.get("metadata") or {}
    said = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}.get(FATE_KEY, "")
    return said if said in _STATUS else ""


def stuck_pod(name: str, owner: Mapping[str, Any], fate: str, image: str) -> dict[str, Any]:
    """A pod of `owner` (a ReplicaSet or another workload) that met its fate."""
    metadata = owner["metadata"]
    labels = ((owner["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": metadata["namespace"],
            "name": name,
            "uid": f"pod-{metadata['namespace']}-{name}",
            "labels": labels,
            "creationTimestamp": _TIME,
            "ownerReferences": [owned_by(owner)],
        },
        "status": _status(fate, image),
    }


def replica_set_of(owner: Mapping[str, Any]) -> dict[str, Any]:
    """What stands between a Deployment and its pods."""
    metadata = owner["metadata"]
    name = f"{metadata['name']}-1"
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "namespace": metadata["namespace"],
            "name": name,
            "uid": f"set-{metadata['namespace']}-{name}",
            "creationTimestamp": _TIME,
            "ownerReferences": [owned_by(owner)],
        },
        "spec": {"replicas": owner["spec"].get("replicas", 1), "template": owner["spec"].get("template") or {}},
    }


def owned_by(owner: Mapping[str, Any]) -> dict[str, Any]:
    """The owner reference that a controller sets."""
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }


def _status(fate: str, image: str) -> dict[str, Any]:
    status = _STATUS[fate]
    container = {"name": "main", "image": image, **status.get("container", {})}
    shown = {k: v for k, v in status.items() if k != "container"}
    return {**shown, **({"containerStatuses": [container]} if "container" in status else {})}


_ENDED = {"terminated": {"exitCode": 1, "reason": "Error"}}
_STATUS: dict[str, dict[str, Any]] = {
    IMAGE_PULL: {
        "phase": "Pending",
        "container": {
            "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image: not found"}}
        },
    },
    "crash-loop": {
        "phase": "Running",
        "container": {
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}},
            "lastState": _ENDED,
        },
    },
    "unschedulable": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
            }
        ],
    },
    "never-ready": {"phase": "Running", "container": {"state": {"running": {"startedAt": _TIME}}}},
    FAILED: {"phase": "Failed", "container": {"state": _ENDED}},
}
