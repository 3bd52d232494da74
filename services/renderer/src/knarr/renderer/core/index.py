"""What rollout and status know of a bundle: ids, digests, protection. No bodies."""

from __future__ import annotations

from collections.abc import Iterable

from knarr.bundle.budget import stable_id
from knarr.bundle.canonical import Object, content_digest, id_of, is_protected
from knarr.bundle.hooks import is_hook
from knarr.pipeline.revision import Index, IndexedObject


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
                hook=is_hook(manifest),
            )
            for manifest in objects
        ),
    )
