"""The `Store` port as Secrets of the agent's own namespace.

Small values share Secrets, so that many changes are few writes: a new key goes into a Secret that has room and stays
there, and a change is one merge patch per Secret touched, sending only what changed. A large value gets Secrets of its
own, named by its digest, in chunks under the 1 MiB limit; its key then holds only a pointer, written after the chunks
and before the old ones are removed, so that a value is whole at every instant.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from knarr.agent.adapters.kubernetes.cluster import KubernetesCluster
from knarr.agent.adapters.kubernetes.session import MERGE
from knarr.pipeline.errors import KnarrError, rejected

_SMALL = 32_000  # bytes; larger values get Secrets of their own
_FILL_TO = 128_000  # a shared Secret takes new keys up to this size
_NEVER_OVER = 600_000  # beyond it even small values move out
_CHUNK = 700_000
_PAGE = 5
_LABEL = "knarr.dev/state"
_POINTER = b"chunks:"
_ABSENT = ("KNR4010", "KNR4016")


class SecretStore:
    """One per agent. Creates its namespace and Secrets when they are missing."""

    def __init__(self, cluster: KubernetesCluster, namespace: str) -> None:
        self._cluster = cluster
        self._ask = cluster.session.ask
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/secrets"
        self._place: dict[str, int] = {}
        self._sizes: dict[str, int] = {}
        self._filled: dict[int, int] = {}
        self._pointers: dict[str, bytes] = {}
        self._opened = False
        self.written_bytes = 0
        self.write_requests = 0

    async def load(self, prefix: str) -> Mapping[str, bytes]:
        """See the port."""
        found = await self._open(prefix)
        return {key: await self._whole(key, value) for key, value in found.items()}

    async def read(self, key: str) -> bytes | None:
        """See the port."""
        if not self._opened:
            await self._open(None)
        place = self._place.get(key)
        value = (await self._read_secret(_shared(place)) or {}).get(key) if place is not None else None
        return await self._whole(key, value) if value is not None else None

    async def save(self, changes: Mapping[str, bytes | None]) -> None:
        """See the port."""
        if not self._opened:
            await self._open(None)
        obsolete: list[bytes] = []
        kept: dict[str, bytes | None] = {}
        for key, value in changes.items():
            if (before := self._pointers.pop(key, None)) is not None:
                obsolete.append(before)
            large = value is not None and self._is_large(key, value)
            kept[key] = await self._write_chunks(key, value) if value is not None and large else value
        by_place: dict[int, dict[str, bytes | None]] = {}
        for key, value in kept.items():
            if value is not None or key in self._place:
                by_place.setdefault(self._placed(key, value), {})[key] = value
        await asyncio.gather(*(self._patch(place, data) for place, data in by_place.items()))
        await asyncio.gather(*(self._remove_chunks(p) for p in obsolete if p not in self._pointers.values()))

    # --- places ------------------------------------------------------------------

    async def _open(self, prefix: str | None) -> dict[str, bytes]:
        """Reads all shared Secrets once, notes what lies where, and returns the values with that prefix."""
        values: dict[str, bytes] = {}
        self._place, self._sizes, self._filled, self._pointers = {}, {}, {}, {}
        proceed = ""
        while True:
            query = f"labelSelector={_LABEL}%3Dshared&limit={_PAGE}" + (f"&continue={proceed}" if proceed else "")
            _, page = await self._ask("GET", f"{self._path}?{query}")
            for secret in page.get("items") or ():
                found = self._enter(secret)
                values |= {k: v for k, v in found.items() if prefix is not None and k.startswith(prefix)}
            proceed = page["metadata"].get("continue", "")
            if not proceed:
                self._opened = True
                return values

    def _enter(self, secret: Mapping[str, Any]) -> dict[str, bytes]:
        number = int(secret["metadata"]["name"].rpartition("-")[2])
        found = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
        self._place |= dict.fromkeys(found, number)
        self._sizes |= {key: len(key) + len(value) for key, value in found.items()}
        self._pointers |= {key: value for key, value in found.items() if value.startswith(_POINTER)}
        self._filled[number] = sum(self._sizes[key] for key in found)
        return found

    def _is_large(self, key: str, value: bytes) -> bool:
        filled = self._filled.get(self._place.get(key, -1), 0)
        return len(value) > _SMALL or value.startswith(_POINTER) or filled + len(value) > _NEVER_OVER

    def _placed(self, key: str, value: bytes | None) -> int:
        place = self._place.get(key)
        if value is None:
            assert place is not None
            del self._place[key]
            self._filled[place] -= self._sizes.pop(key)
            return place
        size = len(key) + len(value)
        if place is None:
            room = (n for n, filled in self._filled.items() if filled + size <= _FILL_TO)
            place = self._place[key] = next(room, len(self._filled))
        self._filled[place] = self._filled.get(place, 0) + size - self._sizes.get(key, 0)
        self._sizes[key] = size
        return place

    # --- large values --------------------------------------------------------------

    async def _write_chunks(self, key: str, value: bytes) -> bytes:
        pieces = [value[i : i + _CHUNK] for i in range(0, len(value), _CHUNK)]
        pointer = _POINTER + f"{hashlib.sha256(key.encode() + value).hexdigest()[:24]}:{len(pieces)}".encode()
        for name, piece in zip(_chunks(pointer), pieces, strict=True):
            await self._create(name, {"piece": piece}, "chunk")
        self._pointers[key] = pointer
        return pointer

    async def _whole(self, key: str, value: bytes) -> bytes:
        if not value.startswith(_POINTER):
            return value
        pieces = []
        for name in _chunks(value):
            found = await self._read_secret(name)
            if found is None or "piece" not in found:
                raise rejected("KNR4008", f"a part of {key[:40]} is missing")
            pieces.append(found["piece"])
        return b"".join(pieces)

    async def _remove_chunks(self, pointer: bytes) -> None:
        for name in _chunks(pointer):
            try:
                await self._ask("DELETE", f"{self._path}/{name}")
            except KnarrError as error:
                if error.code not in _ABSENT:
                    raise

    # --- Secrets -------------------------------------------------------------------

    async def _read_secret(self, name: str) -> dict[str, bytes] | None:
        try:
            _, found = await self._ask("GET", f"{self._path}/{name}")
        except KnarrError as error:
            if error.code in _ABSENT:
                return None
            raise
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    async def _patch(self, place: int, data: Mapping[str, bytes | None]) -> None:
        encoded = {k: base64.b64encode(v).decode() if v is not None else None for k, v in data.items()}
        path = f"{self._path}/{_shared(place)}?fieldManager=knarr-agent"
        self.write_requests += 1
        self.written_bytes += sum(len(v) for v in encoded.values() if v)
        try:
            await self._ask("PATCH", path, body={"data": encoded}, content_type=MERGE)
        except KnarrError as error:
            if error.code not in _ABSENT:
                raise
            await self._create(_shared(place), {k: v for k, v in data.items() if v is not None}, "shared")

    async def _create(self, name: str, data: Mapping[str, bytes], role: str) -> None:
        path = f"{self._path}?fieldManager=knarr-agent"
        self.write_requests += 1
        secret: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {_LABEL: role}},
            "type": "knarr.dev/state",
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }
        try:
            await self._ask("POST", path, body=secret)
        except KnarrError as error:
            if error.code == "KNR4026" and role == "chunk":
                return  # named by its content: it is there already
            if error.code not in _ABSENT:
                raise
            await self._cluster.create_namespace(self._namespace)
            await self._ask("POST", path, body=secret)


def _shared(place: int) -> str:
    return f"knarr-state-{place:04d}"


def _chunks(pointer: bytes) -> list[str]:
    digest, _, count = pointer.removeprefix(_POINTER).decode().partition(":")
    return [f"knarr-chunk-{digest}-{n}" for n in range(int(count))]
