"""Clusters that a commit gives no new bundle keep the last good one: absence is not deletion (I1).

That is so for clusters whose documents cannot be read, and for clusters whose variant fails while others render (I5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from knarr.pipeline.revision import Index, RevisionRendered, Variant
from knarr.renderer.core.fleet import FleetView

Placed = tuple[tuple[Variant, ...], tuple[Index, ...]]


def keep_unread(
    variants: Iterable[Variant], indexes: Iterable[Index], before: RevisionRendered | None, fleet: FleetView
) -> Placed:
    """The new variants and indexes with those of `before` for clusters that an incomplete fleet does not name."""
    if fleet.complete:
        return tuple(variants), tuple(indexes)
    named = {c.name for c in fleet.clusters}
    return _kept(variants, indexes, before, lambda cluster: cluster not in named)


def keep_failing(
    variants: Iterable[Variant], indexes: Iterable[Index], before: RevisionRendered | None, failing: Iterable[str]
) -> Placed:
    """The new variants and indexes with those of `before` for clusters whose own variant fails."""
    return _kept(variants, indexes, before, frozenset(failing).__contains__)


def _kept(
    variants: Iterable[Variant],
    indexes: Iterable[Index],
    before: RevisionRendered | None,
    keeps: Callable[[str], bool],
) -> Placed:
    found, known = tuple(variants), tuple(indexes)
    if before is None:
        return found, known
    by_digest = {v.bundle.digest if v.bundle else b"": v for v in found}
    for old in before.variants:
        kept = tuple(c for c in old.clusters if keeps(c))
        digest = old.bundle.digest if old.bundle else b""
        if not kept:
            continue
        present = by_digest.get(digest, replace(old, clusters=()))
        by_digest[digest] = replace(present, clusters=tuple(sorted({*present.clusters, *kept})))
    digests = by_digest.keys() - {i.digest for i in known}
    return tuple(by_digest.values()), (*known, *(i for i in before.indexes if i.digest in digests))
