"""Trees: what changed between two, and that a delta put onto the old one gives the new one."""

from __future__ import annotations

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.fetcher.core.compare import compare, entries_of
from knarr.fetcher.core.tree import Limits, TreeFile, apply
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.snapshot import FileMode

_MODES = {
    FileMode.REGULAR: b"100644",
    FileMode.EXECUTABLE: b"100755",
    FileMode.SYMLINK: b"120000",
    FileMode.SUBMODULE: b"160000",
}
_NAMES = st.sampled_from([b"a", b"b", b"c", b"a.b", b"\xff\xfe", b"A"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=4).map(tuple)
_FILES = st.tuples(st.sampled_from(list(_MODES)), st.integers(0, 3))
_TREES = st.dictionaries(_PATHS, _FILES, max_size=12)

Files = dict[tuple[bytes, ...], tuple[FileMode, int]]
Nested = dict[bytes, "Nested | TreeFile"]


class Objects:
    """An object store with trees as Git writes them."""

    def __init__(self) -> None:
        self.trees: dict[bytes, bytes] = {}

    def write(self, files: Files) -> bytes:
        """The tree's id. Of a file and a folder of one name the one that comes later stays."""
        root: Nested = {}
        for path, (mode, number) in files.items():
            self._put(root, path, TreeFile(path=b"/".join(path), mode=mode, content_id=bytes([number]) * 20))
        return self._write(root)

    def _put(self, folder: Nested, path: tuple[bytes, ...], file: TreeFile) -> None:
        for name in path[:-1]:
            below = folder.get(name)
            if not isinstance(below, dict):
                below = {}
                folder[name] = below
            folder = below
        folder[path[-1]] = file

    def _write(self, folder: Nested) -> bytes:
        raw = b""
        for name, entry in sorted(folder.items()):
            if isinstance(entry, TreeFile):
                raw += _MODES[entry.mode] + b" " + name + b"\0" + entry.content_id
            else:
                raw += b"40000 " + name + b"\0" + self._write(entry)
        tree = hashlib.sha1(raw).digest()
        self.trees[tree] = raw
        return tree


def _files(objects: Objects, tree: bytes) -> dict[bytes, TreeFile]:
    return apply(compare(objects.trees.__getitem__, None, tree, Limits()), {})


@given(_TREES, _TREES)
def test_a_delta_on_the_old_tree_is_the_new_tree(old: Files, new: Files) -> None:
    objects = Objects()
    before, after = objects.write(old), objects.write(new)
    delta = compare(objects.trees.__getitem__, before, after, Limits())
    was, now = _files(objects, before), _files(objects, after)
    assert apply(delta, was) == now
    assert len(was) + delta.growth == len(now)
    assert all(was.get(file.path) != file for file in delta.changed)
    assert set(delta.removed) == set(was) - set(now)


@given(_TREES)
def test_nothing_changed_is_an_empty_delta_without_reading(files: Files) -> None:
    objects = Objects()
    tree = objects.write(files)
    read: list[bytes] = []
    delta = compare(lambda t: read.append(t) or objects.trees[t], tree, tree, Limits())  # type: ignore[func-returns-value]
    assert (delta.changed, delta.removed, delta.growth) == ((), (), 0)
    assert set(read) <= {tree}


def test_only_folders_that_differ_are_read() -> None:
    objects = Objects()
    many: Files = {(b"f%d" % n, b"x"): (FileMode.REGULAR, 1) for n in range(1000)}
    before = objects.write(many)
    after = objects.write({**many, (b"f7", b"x"): (FileMode.REGULAR, 2)})
    read: list[bytes] = []
    compare(lambda t: read.append(t) or objects.trees[t], before, after, Limits())  # type: ignore[func-returns-value]
    assert len(read) == 4


@pytest.mark.parametrize("name", [b".", b"..", b".git", b".GIT", b"a/b", b""])
def test_hostile_names_are_refused(name: bytes) -> None:
    raw = b"100644 " + name + b"\0" + b"1" * 20
    with pytest.raises(KnarrError) as raised:
        compare(lambda _: raw, None, b"t" * 20, Limits())
    assert raised.value.code == "KNR1012"


def test_a_tree_that_contains_itself_ends() -> None:
    raw = b"40000 again\0" + b"t" * 20
    with pytest.raises(KnarrError) as raised:
        compare(lambda _: raw, None, b"t" * 20, Limits())
    assert raised.value.code == "KNR1011"


def test_too_many_files_are_refused() -> None:
    raw = b"".join(b"100644 f%d\0" % n + b"1" * 20 for n in range(11))
    with pytest.raises(KnarrError) as raised:
        compare(lambda _: raw, None, b"t" * 20, Limits(files=10))
    assert raised.value.code == "KNR1011"


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(raw: bytes) -> None:
    with contextlib.suppress(KnarrError):
        assert sum(len(name) + len(mode) + 22 for name, (mode, _) in entries_of(raw).items()) <= len(raw)
