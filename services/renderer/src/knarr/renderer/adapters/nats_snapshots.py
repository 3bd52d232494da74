"""Snapshots from JetStream: the newest commit of every source, unsealed, with its contents at hand.

Only what is not at hand is fetched: a commit's manifest is the one before it and a delta, and contents are stored once
however many commits share them. One source's broken snapshot does not touch the others, nor does one of which a part is
not stored: the fetcher is told, and stores it again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import nats.errors

from knarr.bundle.sealing import MasterKey, content_key, unseal
from knarr.messaging.blobs import get_sealed
from knarr.messaging.broker import Broker
from knarr.messaging.streams import COMMITS, SNAPSHOTS
from knarr.messaging.subjects import commit_subject, missing_subject
from knarr.pipeline.codec import decode
from knarr.pipeline.errors import Rejected, Retryable, failure_of, rejected
from knarr.pipeline.names import SourceName, is_dns_label
from knarr.pipeline.snapshot import Commit, Manifest, Pack, PackedContent, SealedAddress, SnapshotStored
from knarr.renderer.adapters.contents import ContentStore
from knarr.renderer.core.failures import failure
from knarr.renderer.core.tree import File, Tree
from knarr.renderer.memory import Remembered
from knarr.renderer.ports import Snapshot

_AT_ONCE = 8
_NOT_STORED = "KNR7013"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """A file and the pack that holds its content."""

    file: File
    pack: SealedAddress | None


_Listing = dict[str, _Listed]
_State = tuple[tuple[bytes, ...], int]  # the addresses of the manifests, and what the store had lost by then


class NatsSnapshots:
    """`Snapshots` on COMMITS and SNAPSHOTS."""

    def __init__(self, broker: Broker, key: MasterKey, store: ContentStore) -> None:
        self._broker, self._key, self._store = broker, key, store
        self._listings: Remembered[tuple[bytes, ...], _Listing] = Remembered(64)
        self._snapshots: dict[SourceName, tuple[_State, Snapshot]] = {}

    async def newest(self) -> Mapping[SourceName, Snapshot]:
        """By source. A snapshot that cannot be read whole has no tree, and says why."""
        names = await self._sources()
        found = await asyncio.gather(*(self._one(name) for name in names))
        self._snapshots = {n: entry for n, entry in self._snapshots.items() if n in names}
        return {name: snapshot for name, snapshot in zip(names, found, strict=True) if snapshot is not None}

    async def _sources(self) -> list[SourceName]:
        subjects = await self._broker.subjects_of(COMMITS, "commit.*")
        names = (subject.removeprefix("commit.") for subject in subjects)
        return sorted(SourceName(name) for name in names if is_dns_label(name))

    async def _one(self, source: SourceName) -> Snapshot | None:
        stored = await self._broker.newest(COMMITS, commit_subject(source), SnapshotStored)
        if stored is None:
            return None
        value = stored.value
        commit = value.commit or Commit(source=source)
        addresses = tuple(m.address for m in value.manifests)
        known = self._snapshots.get(source)
        state = (addresses, self._store.losses)
        if known is not None and known[0] == state:
            return Snapshot(commit=commit, tree=known[1].tree, contents=self._store)
        try:
            listing = await self._listing(value.manifests)
            await self._fetch(listing)
        except Rejected as error:
            return Snapshot(commit=commit, tree=None, contents=self._store, failures=(failure_of(error),))
        except Retryable as error:
            if error.code != _NOT_STORED:
                raise
            return await self._without(commit, known[1] if known is not None else None)
        snapshot = Snapshot(commit=commit, tree=Tree(e.file for e in listing.values()), contents=self._store)
        self._snapshots[source] = (state, snapshot)
        return snapshot

    async def _without(self, commit: Commit, before: Snapshot | None) -> Snapshot:
        """What there is of a source while a part of its newest commit is not stored. Tells the fetcher."""
        message = f"a part of commit {commit.sha[:12]} of source {commit.source!r} is not stored; the fetcher is told"
        failures = (failure("KNR2609", message, origin=commit.source),)
        with contextlib.suppress(nats.errors.Error, OSError):  # it is told again with the next look
            await self._broker.client().publish(missing_subject(commit.source))
        if before is None:
            return Snapshot(commit=commit, tree=None, contents=self._store, failures=failures, missing=True)
        return replace(before, failures=failures, missing=True)

    async def _listing(self, manifests: tuple[SealedAddress, ...]) -> _Listing:
        """The manifests put together; the longest part that is known already is not read again."""
        addresses = tuple(m.address for m in manifests)
        for count in range(len(manifests), 0, -1):
            known = self._listings.get(addresses[:count])
            if known is not None:
                break
        else:
            known, count = {}, 0
        listing = dict(known)
        for number in range(count, len(manifests)):
            manifest = decode(Manifest, await self._unsealed(manifests[number]))
            listing = _applied(listing, manifest, first=number == 0)
        return self._listings.put(addresses, listing)

    async def _fetch(self, listing: _Listing) -> None:
        """Every pack that holds a content which is not at hand."""
        missing: dict[bytes, SealedAddress] = {}
        for entry in listing.values():
            if entry.pack is not None and not self._store.has(entry.file.content_id):
                missing[entry.pack.address] = entry.pack
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(pack: SealedAddress) -> None:
            async with room:
                data = await self._unsealed(pack)
            contents = decode(Pack, data).contents
            await asyncio.to_thread(self._write, contents)

        for start in range(0, len(missing), 64):
            await asyncio.gather(*(one(p) for p in list(missing.values())[start : start + 64]))
        absent = next(
            (e for e in listing.values() if e.pack is not None and not self._store.has(e.file.content_id)), None
        )
        if absent is not None:
            raise rejected("KNR2604", f"no pack holds the content of {absent.file.path!r}")

    def _write(self, contents: Iterable[PackedContent]) -> None:
        for content in contents:
            self._store.write(content.content_id, content.content)

    async def _unsealed(self, address: SealedAddress) -> bytes:
        data = await get_sealed(self._broker, SNAPSHOTS, "snapshot", address.address, address.chunk_count)
        return unseal(
            data,
            key=content_key(self._key, address.digest),
            address=address.address,
            digest=address.digest,
            plain_size=address.plain_size,
        )


def _applied(listing: _Listing, manifest: Manifest, *, first: bool) -> _Listing:
    if first and not manifest.complete:
        raise rejected("KNR2604", "the first manifest of the snapshot is a delta")
    merged = {} if manifest.complete else dict(listing)
    for path in manifest.removed:
        merged.pop(_text(path), None)
    for entry in manifest.entries:
        if entry.pack >= len(manifest.packs):
            raise rejected("KNR2604", f"the manifest names pack {entry.pack} of {len(manifest.packs)}")
        # No pack: a submodule, or a file too large to be stored. Whoever needs its content refuses it.
        pack = manifest.packs[entry.pack] if entry.pack >= 0 else None
        file = File(path=_text(entry.path), mode=entry.mode, content_id=entry.content_id, size=entry.size)
        merged[file.path] = _Listed(file=file, pack=pack)
    return merged


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
