"""Turns a tree into sealed packs and a manifest, and finds out whether what was stored is still there.

Called by fetch. Writes are content-addressed and write-once: doing it twice, or half and then again, is harmless.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from knarr.fetcher.charts import Pinned
from knarr.fetcher.core.manifest import Place, delta_of, is_time_to_restart, manifest_of, packs_of, places_in
from knarr.fetcher.core.tree import Limits, TreeDelta, TreeFile, apply, check_count, has_content
from knarr.fetcher.ports import ContentIndex, Log, Memory, OpenPgp, Repository, Vault
from knarr.fetcher.resolve import ChartParts
from knarr.pipeline.chart_lock import LOCK_FILE, RESERVED_FOLDER
from knarr.pipeline.errors import retryable
from knarr.pipeline.snapshot import Commit, Manifest, Pack, PackedContent, SnapshotStored

_PACK_BYTES = 512 * 1024
_RESERVED = RESERVED_FOLDER.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every source's flow shares. `now` gives Unix seconds."""

    vault: Vault
    index: ContentIndex
    memory: Memory
    log: Log
    openpgp: OpenPgp
    charts: ChartParts
    now: Callable[[], float]
    limits: Limits


@dataclass(slots=True)
class _Cost:
    bytes: int = 0
    files: int = 0


async def delta_since(base: SnapshotStored | None, tree_id: str, repository: Repository) -> TreeDelta:
    """What Git has that `base` has not; everything without one. KNR1011, KNR1012 for a tree that is refused."""
    old_tree = None if base is None or is_time_to_restart(base.manifests) else base.tree_id
    delta = await repository.changes(old_tree, tree_id)
    if not any(_is_reserved(path) for path in (*(f.path for f in delta.changed), *delta.removed)):
        return delta
    if not delta.complete:
        delta = await repository.changes(None, tree_id)
    # Charts lie there, by digest; what Git has there must not pass for one.
    kept = tuple(f for f in delta.changed if not _is_reserved(f.path))
    return replace(delta, changed=kept, growth=len(kept))


async def store(
    commit: Commit,
    tree_id: str,
    base: SnapshotStored | None,
    delta: TreeDelta,
    pinned: Pinned,
    *,
    stream: str,
    repository: Repository,
    parts: Parts,
) -> SnapshotStored:
    """Stores what `delta` and the charts bring. KNR1011 for a tree that is too large."""
    delta = _with_charts(delta, pinned, base)
    count = delta.growth + (0 if delta.complete or base is None else base.file_count)
    check_count(count, parts.limits)
    cost = _Cost()
    chain = base.manifests if base is not None and not delta.complete else ()
    if delta.complete or delta.changed or delta.removed:
        places = await _store_contents(delta, stream, _Overlaid(repository, pinned.contents), parts, cost)
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
        lock=pinned.lock_bytes,
    )


def _with_charts(delta: TreeDelta, pinned: Pinned, base: SnapshotStored | None) -> TreeDelta:
    """The delta with the files that the lock adds: all of them, or the lock alone where it has changed."""
    if delta.complete:
        return replace(delta, changed=(*delta.changed, *pinned.files), growth=delta.growth + len(pinned.files))
    before, now = base.lock if base is not None else b"", pinned.lock_bytes
    if before == now:
        return delta
    return replace(
        delta,
        changed=(*delta.changed, *pinned.files),
        removed=delta.removed if now else (*delta.removed, LOCK_FILE.encode()),
        growth=delta.growth + bool(now) - bool(before),
    )


def _is_reserved(path: bytes) -> bool:
    return path == _RESERVED or path.startswith(_RESERVED + b"/")


@dataclass(frozen=True, slots=True)
class _Overlaid:
    """The repository's contents, and some that are at hand."""

    repository: Repository
    contents: Mapping[bytes, bytes]

    async def sizes(self, content_ids: Iterable[bytes]) -> Mapping[bytes, int]:
        wanted = tuple(content_ids)
        asked = await self.repository.sizes([c for c in wanted if c not in self.contents])
        return {c: len(self.contents[c]) if c in self.contents else asked[c] for c in wanted}

    async def read(self, content_ids: Iterable[bytes]) -> tuple[tuple[bytes, bytes], ...]:
        wanted = tuple(content_ids)
        asked = dict(await self.repository.read([c for c in wanted if c not in self.contents]))
        return tuple((c, self.contents[c] if c in self.contents else asked[c]) for c in wanted)


async def _store_contents(
    delta: TreeDelta, stream: str, repository: _Overlaid, parts: Parts, cost: _Cost
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
