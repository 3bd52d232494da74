"""Getting a bundle: from memory, from the store, or from the hub; verified each time (I4)."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from knarr.agent.ports import Hub, Store
from knarr.agent.records import BUNDLE_PREFIX, compressed, decompressed
from knarr.bundle.packing import Bundle, unpack
from knarr.bundle.sealing import unseal
from knarr.pipeline.assignment import AssignedApp
from knarr.pipeline.digest import sha256, short
from knarr.pipeline.errors import rejected

_MEMORY_BYTES = 512_000
_FETCHES_AT_ONCE = 16


class Loader:
    """One per agent. Remembers the compressed bytes of the bundles used last, up to half a megabyte."""

    def __init__(self, hub: Hub, store: Store) -> None:
        self._hub = hub
        self._store = store
        self._memory: OrderedDict[bytes, bytes] = OrderedDict()
        self._held = 0
        self._turns = asyncio.Semaphore(_FETCHES_AT_ONCE)
        self.fetches = 0

    async def bundle(self, assigned: AssignedApp) -> tuple[Bundle, bytes | None]:
        """The verified bundle, and its compressed bytes when they came from the hub and are not stored yet."""
        kept = self._memory.get(assigned.digest)
        if kept is not None:
            self._memory.move_to_end(assigned.digest)
            return _checked(decompressed(kept), assigned), None
        kept = await self._store.read(BUNDLE_PREFIX + assigned.digest.hex())
        if kept is not None:
            self._remember(assigned.digest, kept)
            return _checked(decompressed(kept), assigned), None
        async with self._turns:
            sealed = await self._hub.blob(assigned)
        self.fetches += 1
        plain = unseal(
            sealed,
            key=assigned.key,
            address=assigned.address,
            digest=assigned.digest,
            plain_size=assigned.plain_size,
        )
        bundle = _checked(plain, assigned)
        packed = compressed(plain)
        self._remember(assigned.digest, packed)
        return bundle, packed

    def _remember(self, digest: bytes, packed: bytes) -> None:
        if len(packed) > _MEMORY_BYTES // 4:
            return
        self._held += len(packed) - len(self._memory.get(digest, b""))
        self._memory[digest] = packed
        while self._held > _MEMORY_BYTES:
            _, dropped = self._memory.popitem(last=False)
            self._held -= len(dropped)


def _checked(plain: bytes, assigned: AssignedApp) -> Bundle:
    if sha256(plain) != assigned.digest:
        raise rejected("KNR7006", f"the stored content of {assigned.app} is not {short(assigned.digest)}")
    bundle = unpack(plain)
    if len(bundle.objects) != assigned.object_count:
        count = f"{len(bundle.objects)} objects where {assigned.object_count} are stated"
        raise rejected("KNR4009", f"the bundle {short(assigned.digest)} has {count}")
    if bundle.header.app and bundle.header.app != assigned.app:
        raise rejected("KNR7008", f"the bundle {short(assigned.digest)} is of another app than {assigned.app}")
    return bundle
