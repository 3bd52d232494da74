"""A plain folder as a snapshot: what `knarr vet` reads on a laptop, committed or not.

Hidden folders and files that Git would not hold (.git) are left out. Symlinks are kept as links and never followed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from knarr.pipeline.errors import rejected
from knarr.pipeline.names import SourceName
from knarr.pipeline.snapshot import Commit, FileMode
from knarr.renderer.core.tree import File, Tree
from knarr.renderer.ports import Snapshot

_LEFT_OUT = frozenset({".git", ".hg", ".svn"})


class FolderContents:
    """Contents read at need, by Git's blob id."""

    def __init__(self) -> None:
        self._paths: dict[bytes, bytes] = {}
        self._links: dict[bytes, bytes] = {}

    def add(self, path: bytes, mode: FileMode) -> tuple[bytes, int]:
        """Git's blob id and the size of the file at `path`."""
        content = os.readlink(path) if mode is FileMode.SYMLINK else _bytes(path)
        content_id = blob_id(content)
        if mode is FileMode.SYMLINK:
            self._links[content_id] = content
        self._paths[content_id] = path
        return content_id, len(content)

    def read(self, content_id: bytes) -> bytes:
        """The content as it is now; KNR2601 when the file is gone."""
        link = self._links.get(content_id)
        if link is not None:
            return link
        try:
            return _bytes(self._paths[content_id])
        except (KeyError, OSError) as error:
            raise rejected("KNR2601", f"the content {content_id.hex()[:12]} is not at hand") from error


def folder_snapshot(folder: Path, source: SourceName, commit: Commit | None = None) -> Snapshot:
    """The files in and below `folder` as they are now."""
    contents = FolderContents()
    files: list[File] = []
    _scan(os.fsencode(folder), b"", contents, files)
    return Snapshot(
        commit=commit or Commit(source=source, ref="working tree"),
        tree=Tree(sorted(files, key=lambda f: f.path)),
        contents=contents,
    )


def blob_id(content: bytes) -> bytes:
    """Git's id of a blob."""
    return hashlib.sha1(b"blob %d\x00" % len(content) + content, usedforsecurity=False).digest()


def _scan(folder: bytes, prefix: bytes, contents: FolderContents, files: list[File]) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if os.fsdecode(entry.name) in _LEFT_OUT:
                continue
            path = prefix + entry.name
            if entry.is_symlink():
                mode = FileMode.SYMLINK
            elif entry.is_dir(follow_symlinks=False):
                _scan(entry.path, path + b"/", contents, files)
                continue
            elif entry.is_file(follow_symlinks=False):
                mode = FileMode.EXECUTABLE if entry.stat().st_mode & 0o100 else FileMode.REGULAR
            else:
                continue
            content_id, size = contents.add(entry.path, mode)
            files.append(
                File(path=path.decode("utf-8", "surrogateescape"), mode=mode, content_id=content_id, size=size)
            )


def _bytes(path: bytes) -> bytes:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        return file.read()
