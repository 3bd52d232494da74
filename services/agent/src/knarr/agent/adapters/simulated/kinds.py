"""What a simulated cluster serves: the usual kinds, and whatever its CustomResourceDefinitions define."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from knarr.agent.adapters.simulated.objects import Objects
from knarr.agent.core.objects import Kind

_CLUSTER_SCOPED = {
    "": "Namespace Node PersistentVolume",
    "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding",
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "storage.k8s.io": "StorageClass CSIDriver",
    "scheduling.k8s.io": "PriorityClass",
    "networking.k8s.io": "IngressClass",
    "node.k8s.io": "RuntimeClass",
    "admissionregistration.k8s.io": "ValidatingWebhookConfiguration MutatingWebhookConfiguration",
}
_NAMESPACED = {
    "": "ConfigMap Secret Service ServiceAccount Pod PersistentVolumeClaim Endpoints LimitRange ResourceQuota "
    "ReplicationController PodTemplate Event",
    "apps": "Deployment StatefulSet DaemonSet ReplicaSet ControllerRevision",
    "batch": "Job CronJob",
    "rbac.authorization.k8s.io": "Role RoleBinding",
    "networking.k8s.io": "Ingress NetworkPolicy",
    "policy": "PodDisruptionBudget",
    "autoscaling": "HorizontalPodAutoscaler",
    "coordination.k8s.io": "Lease",
    "discovery.k8s.io": "EndpointSlice",
}


def _table() -> dict[Kind, bool]:
    table: dict[Kind, bool] = {}
    for namespaced, listed in ((False, _CLUSTER_SCOPED), (True, _NAMESPACED)):
        for group, kinds in listed.items():
            table |= {Kind(group, kind): namespaced for kind in kinds.split()}
    return table


BUILT_IN = _table()
_DEFINITION = Kind("apiextensions.k8s.io", "CustomResourceDefinition")


def is_namespaced(objects: Objects, kind: Kind) -> bool | None:
    """Whether objects of the kind lie in namespaces; None when the kind is not served."""
    known = BUILT_IN.get(kind)
    if known is not None:
        return known
    for spec in _established(objects):
        if spec.get("group") == kind.group and (spec.get("names") or {}).get("kind") == kind.kind:
            return bool(spec.get("scope") == "Namespaced")
    return None


def defined(objects: Objects) -> Iterator[tuple[str, str, str]]:
    """(group, version, kind) of what definitions bring."""
    for spec in _established(objects):
        for version in spec.get("versions") or ():
            if version.get("served"):
                yield spec["group"], version["name"], spec["names"]["kind"]


def _established(objects: Objects) -> Iterator[Mapping[str, Any]]:
    for definition in objects.select(_DEFINITION, "", ""):
        conditions = (definition.get("status") or {}).get("conditions") or ()
        if any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions):
            yield definition.get("spec") or {}
