"""A fleet repository on this machine as snapshots: the folder as it is, or a commit; and checkouts of other sources.

Used by `knarr vet`, `render` and `diff`. Only here is Git read; the renderer's own code sees trees.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pygit2

from knarr.local.tools import kustomize_command
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import FLEET_SOURCE, SourceName, dns_label
from knarr.pipeline.snapshot import Commit, FileMode
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.core.tree import File, Tree
from knarr.renderer.offline import Offline, Tools, offline
from knarr.renderer.ports import Snapshot

_MODES = {
    pygit2.enums.FileMode.BLOB: FileMode.REGULAR,
    pygit2.enums.FileMode.BLOB_EXECUTABLE: FileMode.EXECUTABLE,
    pygit2.enums.FileMode.LINK: FileMode.SYMLINK,
    pygit2.enums.FileMode.COMMIT: FileMode.SUBMODULE,
}


class GitContents:
    """Contents out of a Git repository."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._repository = repository

    def read(self, content_id: bytes) -> bytes:
        """The blob's bytes."""
        found = self._repository.get(pygit2.Oid(raw=content_id))
        if not isinstance(found, pygit2.Blob):
            raise rejected("KNR2601", f"the content {content_id.hex()[:12]} is not in the repository")
        return bytes(found.data)


@asynccontextmanager
async def laptop_renderer() -> AsyncIterator[Offline]:
    """The renderer with this machine's tools; works in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="knarr-") as work:
        async with offline(Path(work), Tools(kustomize=kustomize_command().argv)) as renderer:
            yield renderer


def folder_snapshots(fleet: Path, sources: Iterable[str]) -> dict[SourceName, Snapshot]:
    """The fleet's folder and the checkouts of other sources (NAME=PATH), as they are now."""
    _refuse_without_fleet(fleet)
    return {FLEET_SOURCE: folder_snapshot(fleet, FLEET_SOURCE), **_checkouts(sources)}


def commit_snapshots(fleet: Path, ref: str, sources: Iterable[str]) -> dict[SourceName, Snapshot]:
    """The fleet at `ref` of the repository that `fleet` lies in. KNR6201 when there is no such repository or ref."""
    found = pygit2.discover_repository(str(fleet.resolve()))
    if found is None:
        raise rejected("KNR6201", f"{fleet} lies in no Git repository")
    repository = pygit2.Repository(found)
    try:
        commit = repository.revparse_single(ref).peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise rejected("KNR6201", f"{ref[:100]!r} names no commit of {found}") from error
    below = fleet.resolve().relative_to(Path(repository.workdir or found).resolve()).as_posix()
    files = tuple(_files(repository, _subtree(commit.tree, "" if below == "." else below, ref)))
    snapshot = Snapshot(
        commit=Commit(source=FLEET_SOURCE, sha=str(commit.id), ref=ref),
        tree=Tree(files),
        contents=GitContents(repository),
    )
    return {FLEET_SOURCE: snapshot, **_checkouts(sources)}


def _subtree(tree: pygit2.Tree, below: str, ref: str) -> pygit2.Tree:
    if not below:
        return tree
    try:
        found = tree[below]
    except KeyError:
        raise rejected("KNR6201", f"{ref[:100]!r} has no folder {below!r}") from None
    if not isinstance(found, pygit2.Tree):
        raise rejected("KNR6201", f"{below!r} is no folder at {ref[:100]!r}")
    return found


def _files(repository: pygit2.Repository, tree: pygit2.Tree, prefix: bytes = b"") -> Iterable[File]:
    for entry in tree:
        path = prefix + (entry.raw_name or b"")
        if isinstance(entry, pygit2.Tree):
            yield from _files(repository, entry, path + b"/")
            continue
        mode = _MODES.get(pygit2.enums.FileMode(entry.filemode), FileMode.REGULAR)
        size = entry.size if isinstance(entry, pygit2.Blob) else 0
        yield File(path=path.decode("utf-8", "surrogateescape"), mode=mode, content_id=entry.id.raw, size=size)


def _checkouts(sources: Iterable[str]) -> Mapping[SourceName, Snapshot]:
    found: dict[SourceName, Snapshot] = {}
    for text in sources:
        name, _, path = text.partition("=")
        if not path or not Path(path).is_dir():
            raise rejected("KNR6201", f"--source {text[:200]!r} is not NAME=FOLDER")
        source = SourceName(dns_label(name, "source"))
        found[source] = folder_snapshot(Path(path), source)
    return found


def _refuse_without_fleet(fleet: Path) -> None:
    if not fleet.is_dir():
        raise rejected("KNR6201", f"{fleet} is no folder")
