"""Sealed contents and manifests in the stream SNAPSHOTS."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import nats.errors
import nats.js.errors

from knarr.bundle.sealing import MasterKey, Sealed, content_key, key_id, seal, unseal
from knarr.fetcher.ports import Put
from knarr.messaging.blobs import get_sealed, put_sealed
from knarr.messaging.broker import Broker
from knarr.messaging.streams import SNAPSHOTS
from knarr.pipeline.codec import decode, encode
from knarr.pipeline.errors import KnarrError, retryable
from knarr.pipeline.snapshot import SealedAddress

T = TypeVar("T")
_PREFIX = "snapshot"
_SECONDS = 5.0
_MOST_PAGES = 1_000


class SnapshotVault:
    """The port `Vault`. Sealing runs in two threads of its own; close it."""

    def __init__(self, broker: Broker, key: MasterKey) -> None:
        self._broker, self._key = broker, key
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="seal")

    async def identity(self) -> str:
        """The stream's time of creation, and the key: what was sealed with another key must be stored again."""
        info = await self._info({})
        return f"{info['created']} {key_id(self._key)}"

    async def put(self, value: Any) -> Put:
        """See ports.Vault."""
        loop = asyncio.get_running_loop()
        sealed: Sealed = await loop.run_in_executor(self._threads, lambda: seal(self._key, encode(value)))
        new_bytes = await put_sealed(self._broker, _PREFIX, sealed.address, sealed.chunks)
        return Put(address=sealed.as_address(), new_bytes=new_bytes)

    async def get(self, kind: type[T], address: SealedAddress) -> T | None:
        """See ports.Vault."""
        try:
            data = await get_sealed(self._broker, SNAPSHOTS, _PREFIX, address.address, address.chunk_count)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: self._open(kind, data, address))
        except KnarrError as error:
            if error.code in ("KNR7010", "KNR7011"):
                raise
            return None

    async def present(self) -> Mapping[bytes, int]:
        """See ports.Vault. One request per 100,000 subjects."""
        found: Counter[bytes] = Counter()
        offset = 0
        for _ in range(_MOST_PAGES):
            state = (await self._info({"subjects_filter": f"{_PREFIX}.>", "offset": offset}))["state"]
            subjects = state.get("subjects") or {}
            found.update(bytes.fromhex(subject.split(".")[1]) for subject in subjects)
            offset += len(subjects)
            if not subjects or offset >= state.get("num_subjects", 0):
                break
        return found

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False)

    def _open(self, kind: type[T], data: bytes, address: SealedAddress) -> T:
        key = content_key(self._key, address.digest)
        plain = unseal(data, key=key, address=address.address, digest=address.digest, plain_size=address.plain_size)
        return decode(kind, plain)

    async def _info(self, question: dict[str, Any]) -> dict[str, Any]:
        subject = f"$JS.API.STREAM.INFO.{SNAPSHOTS}"
        try:
            answer = await self._broker.client().request(subject, json.dumps(question).encode(), timeout=_SECONDS)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise retryable("KNR7011", f"{SNAPSHOTS}: {type(error).__name__}") from error
        found: dict[str, Any] = json.loads(answer.data)
        if "error" in found:
            raise retryable("KNR7011", f"{SNAPSHOTS}: {str(found['error'].get('description', ''))[:200]}")
        return found
