"""What the agent knows of an object without its body: which one it is, whose it is, and how it is.

The flow and all decisions speak in these values; adapters make them from what the API server says.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from knarr.agent.core.health import Health, health_of
from knarr.agent.core.ownership import NAMESPACE_MANAGER, managers_of, mark_of
from knarr.bundle.canonical import group_of
from knarr.pipeline.names import OWNER_LABEL, PRUNE_ANNOTATION, ObjectId, object_id, object_words

# Kinds without a health of their own: what their metadata says is all that is asked of them.
METADATA_ONLY = frozenset(
    {
        ("", "ConfigMap"), ("", "Secret"), ("", "ServiceAccount"), ("", "LimitRange"), ("", "Endpoints"),
        ("", "Namespace"), ("", "PodTemplate"), ("", "Event"),
        ("rbac.authorization.k8s.io", "Role"), ("rbac.authorization.k8s.io", "RoleBinding"),
        ("rbac.authorization.k8s.io", "ClusterRole"), ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("networking.k8s.io", "NetworkPolicy"), ("networking.k8s.io", "IngressClass"),
        ("storage.k8s.io", "StorageClass"), ("storage.k8s.io", "CSIDriver"),
        ("scheduling.k8s.io", "PriorityClass"), ("node.k8s.io", "RuntimeClass"),
        ("discovery.k8s.io", "EndpointSlice"), ("coordination.k8s.io", "Lease"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, whatever version it is written in."""

    group: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """One object at one API version. `namespace` is empty for cluster-scoped objects."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def id(self) -> ObjectId:
        """The object's identity, which leaves the version out."""
        return ObjectId(sys.intern(object_id(group_of(self.api_version), self.kind, self.namespace, self.name)))

    @property
    def words(self) -> str:
        """Its name for people."""
        return object_words(self.id)

    @property
    def of_kind(self) -> Kind:
        """Its kind."""
        return Kind(group_of(self.api_version), self.kind)


@dataclass(frozen=True, slots=True)
class Seen:
    """An object as last seen in the cluster, trimmed to what decisions need.

    `mark` is the fingerprint of what the field manager `knarr` owns of it; `owner` the app in our label, if any.
    `made_for_apps`: a Namespace that an agent created because an app's objects lie in it.
    """

    uid: str
    version: int
    owner: str
    mark: bytes
    health: Health
    deleting: bool = False
    keep: bool = False
    finalizers: tuple[str, ...] = ()
    made_for_apps: bool = False


_NAMESPACE = Kind("", "Namespace")


def ref_of(manifest: Mapping[str, Any]) -> Ref:
    """The object that a manifest names."""
    metadata = manifest.get("metadata") or {}
    return Ref(
        api_version=sys.intern(str(manifest.get("apiVersion", ""))),
        kind=sys.intern(str(manifest.get("kind", ""))),
        namespace=sys.intern(str(metadata.get("namespace") or "")),
        name=str(metadata.get("name") or ""),
    )


def seen_of(found: Mapping[str, Any], kind: Kind) -> Seen:
    """What is kept of a live object (or of its metadata alone)."""
    metadata = found.get("metadata") or {}
    deleting = "deletionTimestamp" in metadata
    return Seen(
        uid=metadata.get("uid", ""),
        version=version_number(metadata.get("resourceVersion", "")),
        owner=sys.intern((metadata.get("labels") or {}).get(OWNER_LABEL, "")),
        mark=mark_of(metadata),
        health=health_of(found, kind.group, kind.kind),
        deleting=deleting,
        keep=(metadata.get("annotations") or {}).get(PRUNE_ANNOTATION) == "keep",
        finalizers=tuple(metadata.get("finalizers") or ()) if deleting else (),
        made_for_apps=kind == _NAMESPACE and NAMESPACE_MANAGER in managers_of(metadata),
    )


def version_number(resource_version: str) -> int:
    """Resource versions of one kind are ordered (Kubernetes 1.35 promises it); an unreadable one counts as oldest."""
    return int(resource_version) if resource_version.isdigit() else 0


def watched_in_full(kind: Kind) -> bool:
    """Whether the kind's health lies in its status, so that metadata is not enough."""
    return (kind.group, kind.kind) not in METADATA_ONLY
