"""What rollout and status know of a bundle: ids, digests, protection. No bodies."""

from __future__ import annotations

import re
from collections.abc import Iterable

from knarr.bundle.canonical import Object, content_digest, id_of, is_protected
from knarr.pipeline.names import object_id, split_object_id
from knarr.pipeline.revision import Index, IndexedObject

_HASHED_KINDS = frozenset({"ConfigMap", "Secret"})
# kustomize writes ten characters of an alphabet without vowels and look-alikes behind the name.
_HASH_SUFFIX = re.compile(r"-[2456789bcdfghkmt]{10}$")


def index_of(digest: bytes, objects: Iterable[Object]) -> Index:
    """The index of the bundle `digest` that holds `objects`."""
    return Index(
        digest=digest,
        objects=tuple(
            IndexedObject(
                object_id=id_of(manifest),
                content_digest=content_digest(manifest),
                protected=is_protected(manifest),
                stable_id=stable_id(id_of(manifest)),
            )
            for manifest in objects
        ),
    )


def stable_id(identity: str) -> str:
    """The id without kustomize's hash suffix; empty where there is none: a rename of only that is a change."""
    group, kind, namespace, name = split_object_id(identity)
    bare = _HASH_SUFFIX.sub("", name)
    if group or kind not in _HASHED_KINDS or bare == name or not bare:
        return ""
    return object_id(group, kind, namespace, bare)
