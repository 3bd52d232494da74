"""Manifests: the tree of a commit, with where each content lies, complete or as a delta against the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from knarr.fetcher.core.tree import TreeDelta, TreeFile, has_content
from knarr.pipeline.snapshot import FileEntry, Manifest, SealedAddress

# Stands in a manifest's list of packs for contents that lie in none: submodules, and files above the limit.
_NOWHERE = SealedAddress()
_MOST_DELTAS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one content lies. `pack` is None for a content that is not stored because it is too large."""

    size: int
    pack: SealedAddress | None


def manifest_of(delta: TreeDelta, places: Mapping[bytes, Place]) -> Manifest:
    """The manifest of a delta. `places` knows every content id of it; packs are listed once, in order of first use."""
    numbers: dict[bytes, int] = {}
    packs: list[SealedAddress] = []
    entries = []
    for file in sorted(delta.changed, key=lambda f: f.path):
        place = places[file.content_id] if has_content(file.mode) else Place(size=0, pack=None)
        entries.append(_entry(file, place, numbers, packs))
    return Manifest(
        complete=delta.complete, entries=tuple(entries), removed=tuple(sorted(delta.removed)), packs=tuple(packs)
    )


def _entry(file: TreeFile, place: Place, numbers: dict[bytes, int], packs: list[SealedAddress]) -> FileEntry:
    pack = place.pack or _NOWHERE
    number = numbers.setdefault(pack.address, len(packs))
    if number == len(packs):
        packs.append(pack)
    return FileEntry(path=file.path, mode=file.mode, content_id=file.content_id, size=place.size, pack=number)


def delta_of(manifest: Manifest) -> TreeDelta:
    """The delta that a manifest carries."""
    changed = tuple(TreeFile(path=e.path, mode=e.mode, content_id=e.content_id) for e in manifest.entries)
    return TreeDelta(changed=changed, removed=manifest.removed, complete=manifest.complete)


def places_in(manifest: Manifest) -> Iterator[tuple[bytes, Place]]:
    """Where the manifest says that each of its contents lies."""
    for entry in manifest.entries:
        if has_content(entry.mode):
            pack = manifest.packs[entry.pack] if 0 <= entry.pack < len(manifest.packs) else _NOWHERE
            yield entry.content_id, Place(size=entry.size, pack=pack if pack.address else None)


def is_time_to_restart(chain: tuple[SealedAddress, ...]) -> bool:
    """Whether the next manifest is to be complete: no chain yet, 32 deltas, or deltas larger than the complete one."""
    if not chain:
        return True
    complete, *deltas = chain
    return len(deltas) >= _MOST_DELTAS or sum(d.sealed_size for d in deltas) > complete.sealed_size


def packs_of(contents: Iterable[tuple[bytes, int]], pack_bytes: int) -> Iterator[tuple[bytes, ...]]:
    """Content ids in groups of at most `pack_bytes` (a larger content is alone), in the order given."""
    group: list[bytes] = []
    filled = 0
    for content_id, size in contents:
        if group and filled + size > pack_bytes:
            yield tuple(group)
            group, filled = [], 0
        group.append(content_id)
        filled += size
    if group:
        yield tuple(group)
