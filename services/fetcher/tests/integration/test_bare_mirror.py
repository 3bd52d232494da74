"""The mirror by itself, on paths."""

from __future__ import annotations

import itertools
from pathlib import Path

import pygit2

from knarr.fetcher.adapters.git.bare import BareMirror
from knarr.fetcher.adapters.git.callbacks import Bounds
from knarr.fetcher.core.source import Ref
from knarr.fetcher.core.tree import Limits, apply
from knarr.local.git import GitRepository


def _mirror(folder: Path, repository: GitRepository) -> BareMirror:
    return BareMirror(
        folder / "mirror.git", str(repository.path), "", login=None, proxy="", bounds=Bounds(), limits=Limits()
    )


def test_many_fetches_leave_few_packs_and_all_history(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "r.git")
    mirror = _mirror(tmp_path, repository)
    trees = []
    for n in range(80):
        repository.commit({"a": str(n), f"f{n}": "new"})
        sighting = mirror.look(Ref())
        assert sighting.fetched
        trees.append(sighting.tree_id)
    assert len(list((tmp_path / "mirror.git/objects/pack").glob("*.pack"))) == 16
    files = apply(mirror.changes(None, trees[0]), {})
    for old, new in itertools.pairwise(trees):
        files = apply(mirror.changes(old, new), files)
    assert files == apply(mirror.changes(None, trees[-1]), {})
    assert len(files) == 81
    mirror.close()


def test_what_a_killed_fetch_left_is_removed(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "r.git")
    sha = repository.commit({"a": "1"})
    mirror = _mirror(tmp_path, repository)
    mirror.look(Ref())
    mirror.close()
    leftover = tmp_path / "mirror.git/objects/pack/pack_git2_abc123"
    leftover.write_bytes(b"half a pack")
    assert mirror.look(Ref()).sha == sha
    assert not leftover.exists()
    mirror.close()


def test_non_utf8_names_submodules_and_links_are_carried_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "r.git"
    repository = GitRepository.create(path)
    git = pygit2.Repository(str(path))
    blob = git.create_blob(b"x").raw
    raw = b"100644 caf\xe9\0" + blob + b"120000 link\0" + blob + b"160000 module\0" + b"\x11" * 20
    tree = git.odb.write(pygit2.enums.ObjectType.TREE, raw)
    who = pygit2.Signature("A", "a@example.test", 1_700_000_000, 0)
    git.create_commit("refs/heads/main", who, who, "raw", tree, [])
    mirror = _mirror(tmp_path, repository)
    delta = mirror.changes(None, mirror.look(Ref()).tree_id)
    assert {file.path: file.mode.value for file in delta.changed} == {
        b"caf\xe9": "regular",
        b"link": "symlink",
        b"module": "submodule",
    }
    mirror.close()
