"""A commit's tree as files, and what a delta does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from knarr.pipeline.errors import rejected
from knarr.pipeline.snapshot import FileMode


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeFile:
    """One file: raw path bytes relative to the snapshot's root, mode, and Git's content id."""

    path: bytes
    mode: FileMode
    content_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeDelta:
    """What one tree has that another has not.

    `complete`: the other one is the empty tree. `growth`: files added less files removed.
    """

    changed: tuple[TreeFile, ...]
    removed: tuple[bytes, ...] = ()
    complete: bool = False
    growth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How large a commit may be. Bytes and counts."""

    files: int = 100_000
    path_bytes: int = 4_096
    depth: int = 64
    file_bytes: int = 32 * 1024 * 1024


def apply(delta: TreeDelta, files: Mapping[bytes, TreeFile]) -> dict[bytes, TreeFile]:
    """The tree after the delta."""
    result = {} if delta.complete else dict(files)
    for path in delta.removed:
        result.pop(path, None)
    result.update((file.path, file) for file in delta.changed)
    return result


def has_content(mode: FileMode) -> bool:
    """Whether the entry's content id names bytes of this repository. A submodule's names a commit of another one."""
    return mode is not FileMode.SUBMODULE


def check_name(folder: bytes, name: bytes, limits: Limits) -> None:
    """KNR1012 for a name that no honest client writes, KNR1011 for a path too long or too deep.

    `folder` is empty or ends with a slash.
    """
    if name in (b"", b".", b"..") or b"/" in name or name.lower() == b".git":
        raise rejected("KNR1012", f"the name {_shown(name)} in {_shown(folder)} is refused")
    if len(folder) + len(name) > limits.path_bytes or folder.count(b"/") >= limits.depth:
        raise rejected("KNR1011", f"the path {_shown(folder + name)} is longer or deeper than allowed")


def check_count(count: int, limits: Limits) -> None:
    """KNR1011 when the tree has too many files."""
    if count > limits.files:
        raise rejected("KNR1011", f"the commit has more than {limits.files} files")


def _shown(path: bytes) -> str:
    return repr(path[:120].decode("utf-8", "backslashreplace"))
