"""A source's files at one commit, as a value: paths, modes, content ids, and a digest for every folder.

Made by adapters (snapshots, folders on a laptop); read by discovery, references and cache keys. Contents are asked
for through `Contents` and are at hand: the adapter has fetched what the tree names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from knarr.pipeline.digest import digest_of
from knarr.pipeline.errors import rejected
from knarr.pipeline.snapshot import FileMode


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One path of a tree. `path` is text with surrogates where the bytes in Git are not UTF-8."""

    path: str
    mode: FileMode
    content_id: bytes
    size: int


class Contents(Protocol):
    """File contents by Git's blob id."""

    def read(self, content_id: bytes) -> bytes:
        """The content. KNR2601 (retryable) when it is not at hand."""
        ...


def content_of(file: File, contents: Contents, limit_bytes: int) -> bytes:
    """The content of a regular file. Raises Rejected: KNR2002 too large, KNR2304 a link, KNR2308 a submodule."""
    if file.mode is FileMode.SYMLINK:
        raise rejected("KNR2304", f"{file.path} is a symlink", origin=file.path)
    if file.mode is FileMode.SUBMODULE:
        raise rejected("KNR2308", f"{file.path} is a submodule", origin=file.path)
    if file.size > limit_bytes:
        raise rejected("KNR2002", f"{file.size} bytes; at most {limit_bytes} are read", origin=file.path)
    return contents.read(file.content_id)


class Tree:
    """An immutable tree. Folder paths have no trailing slash; the root is the empty path."""

    def __init__(self, files: Iterable[File]) -> None:
        self._files: dict[str, File] = {f.path: f for f in files}

    @property
    def files(self) -> Mapping[str, File]:
        """Every file by path."""
        return self._files

    def file(self, path: str) -> File | None:
        """The file at `path`."""
        return self._files.get(path)

    def is_folder(self, path: str) -> bool:
        """Whether `path` is a folder with at least one file."""
        return path in self._folders

    def names(self, folder: str) -> tuple[str, ...]:
        """Names of files and folders directly in `folder`, sorted."""
        return tuple(sorted(self._folders.get(folder, {})))

    def folders(self) -> Iterator[str]:
        """Every folder, the root included."""
        return iter(self._folders)

    def under(self, folder: str) -> Iterator[File]:
        """Every file in and below `folder`, in the order of paths."""
        for name in self.names(folder):
            path = join(folder, name)
            found = self._files.get(path)
            if found is not None:
                yield found
            else:
                yield from self.under(path)

    def digest(self, path: str) -> bytes:
        """A digest of the file or folder at `path`: names, modes and contents below it. Empty for nothing there."""
        known = self._digests.get(path)
        if known is None:
            known = self._digest(path)
            self._digests[path] = known
        return known

    def _digest(self, path: str) -> bytes:
        found = self._files.get(path)
        if found is not None:
            return digest_of((found.mode.value.encode(), found.content_id))
        names = self.names(path)
        if not names:
            return b""
        return digest_of(
            part for name in names for part in (name.encode("utf-8", "surrogateescape"), self.digest(join(path, name)))
        )

    @cached_property
    def _digests(self) -> dict[str, bytes]:
        return {}

    @cached_property
    def _folders(self) -> dict[str, dict[str, None]]:
        folders: dict[str, dict[str, None]] = {}
        for path in self._files:
            child = path
            while child:
                folder, _, name = child.rpartition("/")
                names = folders.setdefault(folder, {})
                if name in names:
                    break
                names[name] = None
                child = folder
        return folders


def join(folder: str, name: str) -> str:
    """`folder/name`, where the root is empty."""
    return f"{folder}/{name}" if folder else name
