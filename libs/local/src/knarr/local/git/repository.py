"""The author's side of a bare repository: commits, branches and tags without a working tree.

Same calls, same commit ids: author and clock are fixed. Blocks (libgit2), in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pygit2
from pygit2.enums import FileMode, ObjectType

_EPOCH = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link to `target`."""

    target: str


@dataclass(frozen=True, slots=True)
class Executable:
    """A file with the executable bit."""

    content: str | bytes


Content = str | bytes | Link | Executable | None


class GitRepository:
    """A bare repository and an author who writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._git = pygit2.Repository(str(path))

    @classmethod
    def create(cls, path: Path, *, default_branch: str = "main") -> Self:
        """Make an empty bare repository at `path`."""
        pygit2.init_repository(str(path), bare=True, initial_head=default_branch)
        return cls(path)

    def commit(
        self, files: Mapping[str, Content], *, message: str = "change", branch: str = "main", parent: str | None = None
    ) -> str:
        """Commit `files` on `branch`: path → content, None deletes. Returns the commit id.

        A branch that does not exist starts empty, or at `parent`. With `parent` the branch is moved there first, as a
        force-push would.
        """
        reference = f"refs/heads/{branch}"
        before = parent or self.branches().get(branch)
        index = pygit2.Index()
        if before is not None:
            index.read_tree(self._commit_at(before).tree)
        for path, content in files.items():
            self._put(index, path, content)
        author = pygit2.Signature("Author", "author@example.test", self._time_after(before), 0)
        tree = index.write_tree(self._git)
        commit = self._git.create_commit(None, author, author, message, tree, [before] if before else [])
        self._git.references.create(reference, commit, force=True)
        return str(commit)

    def branch(self, name: str, at: str) -> None:
        """Make branch `name` at commit `at`, or move it there (a force-push)."""
        self._git.references.create(f"refs/heads/{name}", pygit2.Oid(hex=at), force=True)

    def delete_branch(self, name: str) -> None:
        """Remove branch `name`."""
        self._git.references.delete(f"refs/heads/{name}")

    def tag(self, name: str, at: str, *, message: str | None = None) -> None:
        """Make tag `name` at commit `at`, or move it: a light one, or with `message` an annotated one."""
        target = pygit2.Oid(hex=at)
        if message is not None:
            when = self._time_after(at)
            # The tag object alone: create_tag would also make the reference, and refuse to move it.
            header = f"object {at}\ntype commit\ntag {name}\ntagger Author <author@example.test> {when} +0000"
            target = self._git.odb.write(ObjectType.TAG, f"{header}\n\n{message}\n".encode())
        self._git.references.create(f"refs/tags/{name}", target, force=True)

    def delete_tag(self, name: str) -> None:
        """Remove tag `name`."""
        self._git.references.delete(f"refs/tags/{name}")

    def branches(self) -> dict[str, str]:
        """Every branch with its commit id."""
        prefix = "refs/heads/"
        return {
            name.removeprefix(prefix): str(self._git.references[name].target)
            for name in self._git.references
            if name.startswith(prefix)
        }

    def head(self, branch: str = "main") -> str:
        """The commit id of `branch`. KeyError when there is none."""
        return self.branches()[branch]

    def files(self, at: str) -> dict[str, bytes]:
        """Every file of commit `at`."""
        index = pygit2.Index()
        index.read_tree(self._commit_at(at).tree)
        blobs = ((entry.path, self._git[entry.id]) for entry in index)
        return {path: blob.data for path, blob in blobs if isinstance(blob, pygit2.Blob)}

    def _commit_at(self, commit: str) -> pygit2.Commit:
        found = self._git[pygit2.Oid(hex=commit)]
        if not isinstance(found, pygit2.Commit):
            raise KeyError(commit)
        return found

    def _time_after(self, before: str | None) -> int:
        return _EPOCH if before is None else self._commit_at(before).commit_time + 1

    def _put(self, index: pygit2.Index, path: str, content: Content) -> None:
        match content:
            case None:
                index.remove(path)
            case Link(target):
                index.add(pygit2.IndexEntry(path, self._git.create_blob(target.encode()), FileMode.LINK))
            case Executable(inner):
                index.add(pygit2.IndexEntry(path, self._blob(inner), FileMode.BLOB_EXECUTABLE))
            case _:
                index.add(pygit2.IndexEntry(path, self._blob(content), FileMode.BLOB))

    def _blob(self, content: str | bytes) -> pygit2.Oid:
        return self._git.create_blob(content.encode() if isinstance(content, str) else content)
