"""What changed from one Git tree to another, reading only the folders that differ.

Written here rather than left to libgit2, because a tree of a few hundred bytes can unfold into billions of folders:
every folder read is counted.
"""

from __future__ import annotations

from collections.abc import Callable

from knarr.fetcher.core.tree import Limits, TreeDelta, TreeFile, check_count, check_name
from knarr.pipeline.errors import retryable
from knarr.pipeline.snapshot import FileMode

ReadTree = Callable[[bytes], bytes]
Entry = tuple[bytes, bytes]  # mode as written, object id
_FOLDER = b"40000"
_ID_BYTES = 20
_MODES = {b"120000": FileMode.SYMLINK, b"160000": FileMode.SUBMODULE, b"100755": FileMode.EXECUTABLE}


def compare(read_tree: ReadTree, old: bytes | None, new: bytes, limits: Limits) -> TreeDelta:
    """The delta from tree `old` to tree `new` (object ids); complete when `old` is None.

    `read_tree` gives a tree object's raw bytes. KNR1011 or KNR1012 for a tree beyond the limits or with hostile names.
    """
    changed: list[TreeFile] = []
    removed: list[bytes] = []
    added = read = 0
    todo: list[tuple[bytes, bytes | None, bytes | None]] = [(b"", old, new)]
    while todo:
        prefix, before_id, after_id = todo.pop()
        before, after = _entries(read_tree, before_id), _entries(read_tree, after_id)
        read += 1
        for name, entry in after.items():
            was = before.get(name)
            if was == entry:
                continue
            check_name(prefix, name, limits)
            path = prefix + name
            if entry[0] == _FOLDER:
                todo.append((path + b"/", _folder(was), entry[1]))
                continue
            changed.append(TreeFile(path=path, mode=_MODES.get(entry[0], FileMode.REGULAR), content_id=entry[1]))
            added += was is None or was[0] == _FOLDER
        for name, was in before.items():
            entry_now = after.get(name)
            if was[0] == _FOLDER and _folder(entry_now) is None:
                todo.append((prefix + name + b"/", was[1], None))
            elif was[0] != _FOLDER and (entry_now is None or entry_now[0] == _FOLDER):
                removed.append(prefix + name)
        check_count(max(read, len(changed)), limits)
    return TreeDelta(changed=tuple(changed), removed=tuple(removed), complete=old is None, growth=added - len(removed))


def entries_of(raw: bytes) -> dict[bytes, Entry]:
    """Parses a tree object: name → (mode, id). KNR1008 when the bytes are none."""
    found: dict[bytes, Entry] = {}
    at = 0
    while at < len(raw):
        space = raw.find(b" ", at)
        end = raw.find(b"\0", space)
        if space < 0 or end < 0 or end + 1 + _ID_BYTES > len(raw):
            raise retryable("KNR1008", "a tree object of the mirror cannot be read")
        found[raw[space + 1 : end]] = (raw[at:space], raw[end + 1 : end + 1 + _ID_BYTES])
        at = end + 1 + _ID_BYTES
    return found


def _entries(read_tree: ReadTree, tree: bytes | None) -> dict[bytes, Entry]:
    return {} if tree is None else entries_of(read_tree(tree))


def _folder(entry: Entry | None) -> bytes | None:
    return entry[1] if entry is not None and entry[0] == _FOLDER else None
