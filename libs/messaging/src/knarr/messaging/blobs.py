"""Sealed bytes in a write-once stream, in chunks that fit a message."""

from __future__ import annotations

import asyncio

from knarr.messaging.broker import Broker
from knarr.messaging.subjects import chunk_subjects
from knarr.pipeline.errors import retryable

_IN_FLIGHT = 8


async def put_sealed(broker: Broker, prefix: str, address: bytes, chunks: tuple[bytes, ...]) -> int:
    """Stores the chunks under their address; how many bytes were new. Twice equals once."""
    subjects = chunk_subjects(prefix, address, len(chunks))
    stored = 0
    for subject, chunk in zip(subjects, chunks, strict=True):
        if await broker.publish_once(subject, chunk):
            stored += len(chunk)
    return stored


async def get_sealed(broker: Broker, stream: str, prefix: str, address: bytes, chunk_count: int) -> bytes:
    """The sealed bytes, unchecked. Retryable KNR7013 when a chunk is not there."""
    limit = asyncio.Semaphore(_IN_FLIGHT)

    async def read(subject: str) -> bytes:
        async with limit:
            found = await broker.newest_bytes(stream, subject)
        if found is None:
            raise retryable("KNR7013", f"{subject[:40]} is not in {stream}")
        return found.value

    subjects = chunk_subjects(prefix, address, chunk_count)
    if len(subjects) == 1:
        return await read(subjects[0])
    return b"".join(await asyncio.gather(*(read(s) for s in subjects)))
