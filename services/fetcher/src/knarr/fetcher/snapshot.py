"""Turns a tree into sealed packs and a manifest, and finds out whether what was stored is still there.

Called by fetch. Writes are content-addressed and write-once: doing it twice, or half and then again, is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from knarr.fetcher.core.manifest import Place, delta_of, is_time_to_restart, manifest_of, packs_of, places_in
from knarr.fetcher.core.tree import Limits, TreeDelta, TreeFile, apply, check_count, has_content
from knarr.fetcher.ports import ContentIndex, Log, Memory, OpenPgp, Repository, Vault
from knarr.pipeline.errors import retryable
from knarr.pipeline.snapshot import Commit, Manifest, Pack, PackedContent, SnapshotStored

_PACK_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every source's flow shares. `now` gives Unix seconds."""

    vault: Vault
    index: ContentIndex
    memory: Memory
    log: Log
    openpgp: OpenPgp
    now: Callable[[], float]
    limits: Limits


@dataclass(slots=True)
class _Cost:
    bytes: int = 0
    files: int = 0


async def store(
    commit: Commit, tree_id: str, base: SnapshotStored | None, *, stream: str, repository: Repository, parts: Parts
) -> SnapshotStored:
    """Stores what is new since `base` (everything without one). KNR1011, KNR1012 for a tree that is refused."""
    chain = base.manifests if base is not None else ()
    old_tree = None if base is None or is_time_to_restart(chain) else base.tree_id
    delta = await repository.changes(old_tree, tree_id)
    count = delta.growth + (0 if delta.complete or base is None else base.file_count)
    check_count(count, parts.limits)
    cost = _Cost()
    if delta.complete:
        chain = ()
    if delta.complete or delta.changed or delta.removed:
        places = await _store_contents(delta, stream, repository, parts, cost)
        put = await parts.vault.put(manifest_of(delta, places))
        cost.bytes += put.new_bytes
        chain = (*chain, put.address)
    if await parts.vault.identity() != stream:
        raise retryable("KNR7013", "the stream of snapshots was made anew while one was being stored")
    return SnapshotStored(
        commit=commit,
        manifests=chain,
        tree_id=tree_id,
        file_count=count,
        published_bytes=cost.bytes,
        published_files=cost.files,
    )


async def _store_contents(
    delta: TreeDelta, stream: str, repository: Repository, parts: Parts, cost: _Cost
) -> dict[bytes, Place]:
    wanted = dict.fromkeys(f.content_id for f in delta.changed if has_content(f.mode))
    places = await parts.index.places(stream, wanted)
    sizes = await repository.sizes([content_id for content_id in wanted if content_id not in places])
    too_large = {c: Place(size=n, pack=None) for c, n in sizes.items() if n > parts.limits.file_bytes}
    places |= too_large
    for group in packs_of(((c, n) for c, n in sizes.items() if c not in too_large), _PACK_BYTES):
        contents = await repository.read(group)
        put = await parts.vault.put(Pack(contents=tuple(PackedContent(content_id=c, content=b) for c, b in contents)))
        new = {content_id: Place(size=sizes[content_id], pack=put.address) for content_id in group}
        await parts.index.add(stream, new)
        places |= new
        cost.bytes += put.new_bytes
        cost.files += len(group)
    return places


async def is_whole(snapshot: SnapshotStored | None, *, stream: str, parts: Parts) -> bool:
    """Whether everything that the snapshot names is stored. Sets the index right on the way."""
    present = await parts.vault.present()
    await parts.index.keep_only(stream, present)
    if snapshot is None or not snapshot.manifests:
        return False
    files: dict[bytes, TreeFile] = {}
    places: dict[bytes, Place] = {}
    for address in snapshot.manifests:
        manifest = await parts.vault.get(Manifest, address) if address.address in present else None
        if manifest is None:
            return False
        files = apply(delta_of(manifest), files)
        places.update((content_id, place) for content_id, place in places_in(manifest) if _is_stored(place, present))
    await parts.index.add(stream, places)
    return all(file.content_id in places for file in files.values() if has_content(file.mode))


def _is_stored(place: Place, present: Mapping[bytes, int]) -> bool:
    return place.pack is None or present.get(place.pack.address, 0) >= place.pack.chunk_count
