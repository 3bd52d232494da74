"""Clusters whose documents cannot be read keep what they were last given: absence is not deletion (I1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from knarr.pipeline.revision import Index, RevisionRendered, Variant
from knarr.renderer.core.fleet import FleetView


def keep_unread(
    variants: Iterable[Variant], indexes: Iterable[Index], before: RevisionRendered | None, fleet: FleetView
) -> tuple[tuple[Variant, ...], tuple[Index, ...]]:
    """The new variants and indexes with those of `before` for clusters that an incomplete fleet does not name."""
    found, known = tuple(variants), tuple(indexes)
    if fleet.complete or before is None:
        return found, known
    named = {c.name for c in fleet.clusters}
    by_digest = {v.bundle.digest if v.bundle else b"": v for v in found}
    for old in before.variants:
        unread = tuple(c for c in old.clusters if c not in named)
        digest = old.bundle.digest if old.bundle else b""
        if not unread:
            continue
        present = by_digest.get(digest, replace(old, clusters=()))
        by_digest[digest] = replace(present, clusters=tuple(sorted({*present.clusters, *unread})))
    digests = by_digest.keys() - {i.digest for i in known}
    return tuple(by_digest.values()), (*known, *(i for i in before.indexes if i.digest in digests))
