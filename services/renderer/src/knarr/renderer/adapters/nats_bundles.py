"""Bundles in BLOBS: sealed, in chunks, write-once.

A bundle that this process has stored is not sent again, as long as the stream is the same one: when BLOBS was made anew
`epoch` changes, and the flow publishes everything again from its cache.
"""

from __future__ import annotations

import asyncio

from knarr.bundle.sealing import MasterKey, seal
from knarr.messaging.blobs import put_sealed
from knarr.messaging.broker import Broker
from knarr.messaging.streams import BLOBS
from knarr.pipeline.digest import sha256
from knarr.pipeline.revision import BundleRef
from knarr.renderer.counters import tally
from knarr.renderer.memory import Remembered

_THREAD_FROM_BYTES = 262_144


class NatsBundles:
    """`Bundles` on JetStream."""

    def __init__(self, broker: Broker, key: MasterKey) -> None:
        self._broker, self._key = broker, key
        self._known: Remembered[bytes, BundleRef] = Remembered(100_000)
        self.stored = 0
        self.epoch = ""

    async def look(self) -> None:
        """Notices a stream that was made anew. Called before each commit."""
        info = await self._broker.jetstream().stream_info(BLOBS)
        epoch = str(info.created)
        if epoch != self.epoch:
            self._known = Remembered(100_000)
            self.epoch = epoch

    async def publish(self, plain: bytes, object_count: int) -> BundleRef:
        """Seals and stores `plain` unless this process has done so."""
        digest = sha256(plain)
        known = self._known.get(digest)
        if known is not None:
            return known
        if len(plain) < _THREAD_FROM_BYTES:
            sealed = seal(self._key, plain)
        else:
            sealed = await asyncio.to_thread(seal, self._key, plain)
        new_bytes = await put_sealed(self._broker, "blob", sealed.address, sealed.chunks)
        self.stored += 1 if new_bytes else 0
        tally().stored += 1 if new_bytes else 0
        return self._known.put(digest, sealed.as_bundle_ref(object_count))
