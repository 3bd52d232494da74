"""A bare mirror of one source, used from one thread: looking at the remote, and reading what was fetched.

Full mirrors, not shallow ones: those are slower to poll and dearer for the server. Nothing is ever checked out.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

import pygit2
from pygit2.enums import ObjectType

from knarr.fetcher.adapters.git.callbacks import Bounds, Login, Talk
from knarr.fetcher.adapters.git.failures import remote_failure
from knarr.fetcher.adapters.git.gate import Gate
from knarr.fetcher.adapters.git.process import trust
from knarr.fetcher.core.address import host_of
from knarr.fetcher.core.compare import compare
from knarr.fetcher.core.refs import RemoteRef, Target, resolve
from knarr.fetcher.core.source import Ref, RefKind
from knarr.fetcher.core.tree import Limits, TreeDelta
from knarr.fetcher.ports import Sighting
from knarr.pipeline.errors import rejected, retryable

_FOLLOWED = "refs/knarr/followed"
_EVERYTHING = ["+refs/heads/*:refs/knarr/heads/*", "+refs/tags/*:refs/knarr/tags/*"]
_SUBJECT = 200
_MOST_PACKS = 64


class BareMirror:
    """Not for several threads. Local errors of libgit2 come out as they are; `mirror.GitMirror` gives them a number."""

    def __init__(
        self, folder: Path, url: str, root: str, *, login: Login | None, proxy: str, bounds: Bounds, limits: Limits
    ) -> None:
        self._folder, self._url, self._root = folder, url, root
        self._login, self._proxy = login, proxy
        self._bounds, self._limits = bounds, limits
        self._repository: pygit2.Repository | None = None
        self.stop = threading.Event()

    def look(self, ref: Ref) -> Sighting:
        """Asks the remote; fetches over the same connection what is missing."""
        git = self._open()
        if ref.kind is RefKind.COMMIT and (pinned := self._held(ref.value)) is not None:
            return self._sighting(pinned, ref.value, fetched=False)
        target, fetched = self._talked(git, ref)
        commit = self._held(target.sha)
        if commit is None:
            raise rejected("KNR1010", f"no branch or tag leads to commit {target.sha}")
        git.references.create(_FOLLOWED, commit.id, force=True)
        sighting = self._sighting(commit, target.name or target.sha, fetched=fetched)
        if fetched:
            self._tidy(git)
        return sighting

    def _talked(self, git: pygit2.Repository, ref: Ref) -> tuple[Target, bool]:
        """What the ref leads to, and whether it had to be fetched."""
        talk = Talk(host_of(self._url), self._login, self._bounds, self.stop)
        gate = Gate(self._url, self._proxy, trust) if self._url.startswith(("http://", "https://")) else None
        try:
            with gate or contextlib.nullcontext():
                proxy = None if gate is not None else self._proxy or None
                remote = git.remotes.create_anonymous(gate.remote if gate is not None else self._url)
                remote.connect(callbacks=talk, proxy=proxy)
                target = resolve(ref, [_remote_ref(head) for head in remote.list_heads(connect=False)])
                fetched = self._held(target.sha) is None
                if fetched:
                    remote.fetch(_refspecs(target), callbacks=talk, proxy=proxy)
        except (pygit2.GitError, ValueError, OSError) as error:
            failure = (gate.refusal if gate is not None else None) or remote_failure(error, self._url)
            if failure.code == "KNR1008":
                self.discard()
            raise failure from error
        return target, fetched

    def changes(self, old_tree: str | None, new_tree: str) -> TreeDelta:
        """See ports.Repository."""
        odb = self._open().odb
        before = bytes.fromhex(old_tree) if old_tree else None
        if before is not None and not odb.exists(pygit2.Oid(raw=before)):
            before = None
        return compare(lambda tree: odb.read(pygit2.Oid(raw=tree))[1], before, bytes.fromhex(new_tree), self._limits)

    def sizes(self, content_ids: Iterable[bytes]) -> dict[bytes, int]:
        """Bytes of each content, from its header."""
        odb = self._open().odb
        return {content_id: odb.read_header(pygit2.Oid(raw=content_id))[1] for content_id in content_ids}

    def read(self, content_ids: Iterable[bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """See ports.Repository."""
        odb = self._open().odb
        return tuple((content_id, odb.read(pygit2.Oid(raw=content_id))[1]) for content_id in content_ids)

    def file(self, sha: str, path: str, limit: int) -> bytes | None:
        """See ports.Repository."""
        git = self._open()
        tree_id = self._tree_id(self._commit(sha))
        root = git.get(pygit2.Oid(raw=tree_id)) if tree_id is not None else None
        entry = _entry(root, path)
        if entry is None or entry.type != ObjectType.BLOB or entry.filemode & 0o170000 != 0o100000:
            return None
        if git.odb.read_header(entry.id)[1] > limit:
            raise rejected("KNR1011", f"{path} is larger than {limit} bytes")
        return git.odb.read(entry.id)[1]

    def discard(self) -> None:
        """Removes the mirror from the disk; the next look makes it anew."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Lets go of files."""
        if self._repository is not None:
            self._repository.free()
            self._repository = None

    def _tidy(self, git: pygit2.Repository) -> None:
        """Every fetch leaves a pack, and every look-up may ask them all: many become one."""
        folder = self._folder / "objects" / "pack"
        before = {path.stem for path in folder.glob("*.pack")}
        if len(before) <= _MOST_PACKS:
            return
        git.pack()
        self.close()
        for stem in before if {path.stem for path in folder.glob("*.pack")} - before else ():
            for path in folder.glob(f"{stem}.*"):
                path.unlink(missing_ok=True)

    def _open(self) -> pygit2.Repository:
        if self._repository is None:
            self._repository = _opened(self._folder)
        return self._repository

    def _held(self, sha: str) -> pygit2.Commit | None:
        found = self._open().get(sha)
        return found if isinstance(found, pygit2.Commit) else None

    def _commit(self, sha: str) -> pygit2.Commit:
        found = self._held(sha)
        if found is None:
            raise retryable("KNR1008", f"the mirror has lost commit {sha[:12]}")
        return found

    def _tree_id(self, commit: pygit2.Commit) -> bytes | None:
        if not self._root:
            return commit.tree_id.raw
        try:
            found = commit.tree[self._root]
        except KeyError:
            return None
        return found.id.raw if found.type == ObjectType.TREE else None

    def _no_root(self) -> Exception:
        return rejected("KNR1014", f"the commit has no folder {self._root[:200]!r}")

    def _sighting(self, commit: pygit2.Commit, ref: str, *, fetched: bool) -> Sighting:
        tree_id = self._tree_id(commit)
        if tree_id is None:
            raise self._no_root()
        signature, signed = commit.gpg_signature
        message = commit.raw_message.decode("utf-8", "replace").strip()
        return Sighting(
            sha=str(commit.id),
            ref=ref,
            tree_id=tree_id.hex(),
            author=commit.author.raw_name.decode("utf-8", "replace")[:_SUBJECT] if commit.author.raw_name else "",
            subject=message.partition("\n")[0][:_SUBJECT],
            committed_at_ms=commit.commit_time * 1000,
            signature=signature or b"",
            signed=signed or b"",
            fetched=fetched,
        )


def _entry(root: pygit2.Object | None, path: str) -> pygit2.Object | None:
    try:
        return root[path] if isinstance(root, pygit2.Tree) else None
    except KeyError:
        return None


def _opened(folder: Path) -> pygit2.Repository:
    if not (folder / "HEAD").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        pygit2.init_repository(str(folder), bare=True)
    for leftover in (folder / "objects" / "pack").glob("*git2*"):
        leftover.unlink(missing_ok=True)  # what a killed fetch left behind
    return pygit2.Repository(str(folder))


def _refspecs(target: Target) -> list[str]:
    return [f"+{target.name}:{_FOLLOWED}"] if target.name else _EVERYTHING


def _remote_ref(head: pygit2.remotes.RemoteHead) -> RemoteRef:
    return RemoteRef(name=head.name or "", sha=str(head.oid), points_to=head.symref_target or "")
