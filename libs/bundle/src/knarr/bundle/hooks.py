"""The words of hooks, ours and Helm's: what the renderer lets through and the agent obeys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.pipeline.names import HOOK_ANNOTATION, HOOK_DELETE_ANNOTATION

HELM_HOOK = "helm.sh/hook"
HELM_WEIGHT = "helm.sh/hook-weight"
HELM_DELETE = "helm.sh/hook-delete-policy"
BEFORE_CREATION = "before-hook-creation"

LARGEST_WAVE = 1_000
LARGEST_WEIGHT = 1_000_000
OURS = ("pre-apply", "post-apply")
RUN = (*OURS, "pre-install", "pre-upgrade", "post-install", "post-upgrade")
ORDINARY = ("crd-install",)
# Those for which a control loop has no moment: known, and left out.
IDLE = (
    "pre-delete",
    "post-delete",
    "pre-rollback",
    "post-rollback",
    "test",
    "test-success",
    "test-failure",
)
DELETE_POLICIES = (BEFORE_CREATION, "hook-succeeded", "hook-failed")


def hook_words(annotations: Mapping[str, Any]) -> frozenset[str]:
    """What the annotations of an object call it; ours wins over Helm's. Empty for an ordinary object."""
    return split(annotations.get(HOOK_ANNOTATION) or annotations.get(HELM_HOOK) or "")


def is_hook(manifest: Mapping[str, Any]) -> bool:
    """Whether the object is a hook, also one that is never run: it is no part of what the app has."""
    words = hook_words((manifest.get("metadata") or {}).get("annotations") or {})
    return bool(words) and words.isdisjoint(ORDINARY)


def delete_policies(annotations: Mapping[str, Any]) -> frozenset[str]:
    """When the hook's object goes; before its next run unless it says otherwise."""
    return split(annotations.get(HOOK_DELETE_ANNOTATION) or annotations.get(HELM_DELETE) or BEFORE_CREATION)


def split(text: object) -> frozenset[str]:
    """Words between commas."""
    return frozenset(word.strip() for word in str(text).split(",")) - {""}
