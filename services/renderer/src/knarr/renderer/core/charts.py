"""Charts of repositories: where the fetcher has put the one that an app names. Called by spec.py."""

from __future__ import annotations

from functools import lru_cache

from knarr.pipeline.chart_lock import LOCK_FILE, ChartLock, ChartReference, lock_from_bytes
from knarr.pipeline.failure import Failure
from knarr.renderer.core.failures import failure
from knarr.renderer.core.tree import Contents, Tree


def locked_folder(tree: Tree, contents: Contents, reference: ChartReference, origin: str) -> str | Failure:
    """The folder of the chart's files in the snapshot; or why there is none, in the fetcher's words if it said so."""
    file = tree.file(LOCK_FILE)
    locked = _lock(contents.read(file.content_id)).chart(reference) if file is not None else None
    named = f"{reference.name} {reference.version} of {reference.repository}"[:300]
    if locked is None:
        return failure("KNR2410", f"{named} is not in the lock", origin=origin)
    if locked.code:
        return failure(locked.code, f"{named}: {locked.message}", origin=origin)
    if not tree.is_folder(locked.folder):
        return failure("KNR2410", f"the files of {named} are not in the snapshot", origin=origin)
    return locked.folder


@lru_cache(maxsize=32)
def _lock(content: bytes) -> ChartLock:
    """Many apps read one lock. What cannot be read locks nothing."""
    try:
        return lock_from_bytes(content)
    except ValueError:
        return ChartLock()
