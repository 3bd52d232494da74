"""Renderings by content: in memory for the hot ones, sealed in a folder for the next start. Bounded; may forget."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import zstandard

from knarr.bundle.disk import DiskSeal
from knarr.renderer.memory import Remembered

_MEMORY_ENTRIES = 16_384
_MEMORY_BYTES = 262_144
_CHECK_EVERY = 2_000


class FolderCache:
    """Values, compressed and sealed, in files named by key. `limit_bytes` bounds the folder; the oldest go first."""

    def __init__(self, folder: Path, seal: DiskSeal, limit_bytes: int = 2 << 30) -> None:
        self._folder, self._seal, self._limit = folder, seal, limit_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._recent: Remembered[bytes, bytes] = Remembered(_MEMORY_ENTRIES)
        self._writes = 0

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        recent = self._recent.get(key)
        if recent is not None:
            return recent
        try:
            packed = self._seal.opened(key.hex(), (self._folder / key.hex()).read_bytes())
            if packed is None:
                return None
            value = zstandard.ZstdDecompressor().decompress(packed)
        except (OSError, zstandard.ZstdError):
            return None
        return self._keep(key, value)

    def put(self, key: bytes, value: bytes) -> None:
        """Keeps the value; a full disk is not an error here."""
        self._keep(key, value)
        try:
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".")
            with os.fdopen(handle, "wb") as file:
                file.write(self._seal.sealed(key.hex(), zstandard.ZstdCompressor(level=1).compress(value)))
            os.replace(temporary, self._folder / key.hex())
        except OSError:
            return
        self._writes += 1
        if self._writes % _CHECK_EVERY == 0:
            self._trim()

    def _keep(self, key: bytes, value: bytes) -> bytes:
        return self._recent.put(key, value) if len(value) <= _MEMORY_BYTES else value

    def _trim(self) -> None:
        entries = sorted(
            ((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(self._folder)),
            reverse=True,
        )
        size = 0
        for _, entry_size, path in entries:
            size += entry_size
            if size > self._limit:
                Path(path).unlink(missing_ok=True)


class MemoryCache:
    """For a laptop and for tests: forgets at exit."""

    def __init__(self) -> None:
        self._values: Remembered[bytes, bytes] = Remembered(_MEMORY_ENTRIES)

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        return self._values.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Keeps the value."""
        self._values.put(key, value)
