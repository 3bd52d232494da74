"""Charts of repositories: where the fetcher has put those that an app, or a chart in Git, names."""

from __future__ import annotations

from functools import lru_cache

from knarr.pipeline.chart_lock import LOCK_FILE, ChartLock, ChartReference, lock_from_bytes
from knarr.pipeline.failure import Failure
from knarr.renderer.core.failures import failure
from knarr.renderer.core.paths import without_credentials
from knarr.renderer.core.tree import Contents, Tree


def locked_folder(tree: Tree, contents: Contents, reference: ChartReference, origin: str) -> str | Failure:
    """The folder of the chart's files in the snapshot; or why there is none, in the fetcher's words if it said so."""
    locked = _lock_of(tree, contents).chart(reference)
    named = f"{reference.name} {reference.version} of {without_credentials(reference.repository)}"[:300]
    if locked is None:
        return failure("KNR2410", f"{named} is not in the lock", origin=origin)
    if locked.code:
        return failure(locked.code, f"{named}: {locked.message}", origin=origin)
    if not tree.is_folder(locked.folder):
        return failure("KNR2410", f"the files of {named} are not in the snapshot", origin=origin)
    return locked.folder


def dependency_of(
    tree: Tree, contents: Contents, chart_file: str, name: str, repository: str, version: str
) -> ChartReference:
    """What the fetcher made of a dependency of `chart_file`: the lock may hold more than the file says."""
    plain = ChartReference(repository=repository, name=name, version=version)
    uses = [r for path, r in _lock_of(tree, contents).uses if path == chart_file]
    same = [r for r in uses if (r.name, r.repository) == (name, repository)]
    if len(same) == 1:
        return same[0]
    return next((r for r in same if r.version == version), plain)


def _lock_of(tree: Tree, contents: Contents) -> ChartLock:
    file = tree.file(LOCK_FILE)
    return _lock(contents.read(file.content_id)) if file is not None else ChartLock()


@lru_cache(maxsize=32)
def _lock(content: bytes) -> ChartLock:
    """Many apps read one lock. What cannot be read locks nothing."""
    try:
        return lock_from_bytes(content)
    except ValueError:
        return ChartLock()
