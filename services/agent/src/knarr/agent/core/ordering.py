"""In which order objects go in, and, reversed, out.

First by wave (annotation `knarr.dev/wave`), within a wave by stage: what defines kinds, places and rights comes first,
what could refuse everything else (webhook configurations) last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

from knarr.agent.core.objects import Kind, ref_of
from knarr.bundle.canonical import Object
from knarr.bundle.hooks import LARGEST_WAVE
from knarr.pipeline.names import WAVE_ANNOTATION, ObjectId, split_object_id

_DEFINITIONS = frozenset({"CustomResourceDefinition", "Namespace", "ClusterRole", "ClusterRoleBinding"})
_IDENTITIES = frozenset({"ServiceAccount", "Role", "RoleBinding"})
_SETTINGS = frozenset(
    {"Secret", "ConfigMap", "ResourceQuota", "LimitRange", "NetworkPolicy", "PersistentVolume", "PersistentVolumeClaim"}
)
_WEBHOOKS = frozenset({"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"})
_WAITED_FOR = frozenset({("apiextensions.k8s.io", "CustomResourceDefinition"), ("", "Namespace")})


class Stage(IntEnum):
    """Steps of one wave."""

    DEFINITIONS = 0
    CLASSES = 1
    IDENTITIES = 2
    SETTINGS = 3
    REST = 4
    WEBHOOKS = 5


def stage_of(kind: Kind) -> Stage:
    """The stage of a kind."""
    if kind.kind in _DEFINITIONS:
        return Stage.DEFINITIONS
    if kind.kind.endswith("Class"):
        return Stage.CLASSES
    if kind.kind in _IDENTITIES:
        return Stage.IDENTITIES
    if (kind.group == "" and kind.kind in _SETTINGS) or kind.kind == "NetworkPolicy":
        return Stage.SETTINGS
    return Stage.WEBHOOKS if kind.kind in _WEBHOOKS else Stage.REST


def wave_of(manifest: Mapping[str, Any]) -> int:
    """The wave that the annotation gives; 0 without one or when it is not a number between -1000 and 1000."""
    text = str(((manifest.get("metadata") or {}).get("annotations") or {}).get(WAVE_ANNOTATION, "0"))
    try:
        return max(-LARGEST_WAVE, min(LARGEST_WAVE, int(text)))
    except ValueError:
        return 0


def is_waited_for(kind: Kind) -> bool:
    """Whether what follows must wait until objects of this kind are there."""
    return (kind.group, kind.kind) in _WAITED_FOR


def in_apply_order(objects: Iterable[Object]) -> tuple[Object, ...]:
    """By wave, stage and id."""
    return tuple(sorted(objects, key=lambda o: (wave_of(o), stage_of(ref_of(o).of_kind), ref_of(o).id)))


def removal_rank(identity: ObjectId, wave: int) -> tuple[int, int]:
    """Sort key of a removal: the apply order reversed, so that identities and definitions go last."""
    group, kind, _, _ = split_object_id(identity)
    return (-wave, -stage_of(Kind(group, kind)))
