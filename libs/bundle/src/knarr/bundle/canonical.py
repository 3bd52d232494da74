"""Kubernetes objects in canonical form: one content, one byte string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from knarr.pipeline.digest import sha256
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import ObjectId, object_id

Object = dict[str, Any]
PROTECTED_KINDS = frozenset(
    {
        ("", "Namespace"),
        ("", "PersistentVolume"),
        ("", "PersistentVolumeClaim"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
    }
)


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no space. KNR7008 for what JSON cannot hold (NaN, integers past 64 bits)."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise rejected("KNR7008", f"not representable as JSON: {error}") from error


def group_of(api_version: str) -> str:
    """The API group in `apiVersion`; empty for the core group."""
    return api_version.rpartition("/")[0]


def id_of(manifest: Mapping[str, Any]) -> ObjectId:
    """The object id of a manifest that has apiVersion, kind and metadata.name."""
    metadata = manifest.get("metadata") or {}
    return object_id(
        group_of(str(manifest.get("apiVersion", ""))),
        str(manifest.get("kind", "")),
        str(metadata.get("namespace") or ""),
        str(metadata.get("name") or ""),
    )


def is_protected(manifest: Mapping[str, Any]) -> bool:
    """Whether deleting it needs an approval: Namespace, CustomResourceDefinition, PV, PVC."""
    return (group_of(str(manifest.get("apiVersion", ""))), str(manifest.get("kind", ""))) in PROTECTED_KINDS


def content_digest(manifest: Mapping[str, Any]) -> bytes:
    """sha256 of the canonical manifest."""
    return sha256(canonical_json(manifest))
