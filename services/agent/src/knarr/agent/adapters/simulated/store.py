"""The `Store` port as one journal in a folder: appended to, read once, made anew when most of it is old.

Renaming a file per value, which is the obvious way, makes the disk write at once each time; a thousand agents on one
machine would wait for that alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO

import orjson

_COMPACT_FROM_BYTES = 65_536
_COMPACT_FACTOR = 4


class FolderStore:
    """Small values, written on the loop's thread: a simulated cluster lives on this machine's disk."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._journal = folder / "state.journal"
        self._values: dict[str, bytes] = {}
        self._file: IO[bytes] | None = None
        self._written = 0

    async def load(self, prefix: str) -> Mapping[str, bytes]:
        """See the port."""
        self._open()
        return {key: value for key, value in self._values.items() if key.startswith(prefix)}

    async def read(self, key: str) -> bytes | None:
        """See the port."""
        self._open()
        return self._values.get(key)

    async def save(self, changes: Mapping[str, bytes | None]) -> None:
        """See the port. A process killed while it writes loses this call whole: a record counts when it is complete."""
        file = self._open()
        data = b"".join(_record(key, value) for key, value in changes.items())
        file.write(_frame(data))
        file.flush()
        self._written += len(data)
        for key, value in changes.items():
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value
        live = sum(len(value) for value in self._values.values())
        if self._written > max(_COMPACT_FROM_BYTES, _COMPACT_FACTOR * live):
            self._compact()

    def close(self) -> None:
        """Nothing is written after this."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> IO[bytes]:
        if self._file is None:
            if self._journal.exists():
                self._replay(self._journal.read_bytes())
            self._compact()
        assert self._file is not None
        return self._file

    def _replay(self, data: bytes) -> None:
        place = 0
        while (end := data.find(b"\n", place)) != -1:
            length = int(data[place:end] or b"0")
            batch = data[end + 1 : end + 1 + length]
            if len(batch) < length:
                return  # the last call of a process that was killed
            self._take(batch)
            place = end + 1 + length

    def _take(self, batch: bytes) -> None:
        place = 0
        while place < len(batch):
            end = batch.index(b"\n", place)
            key, length = orjson.loads(batch[place:end])
            if length is None:
                self._values.pop(key, None)
                place = end + 1
                continue
            self._values[key] = batch[end + 1 : end + 1 + length]
            place = end + 1 + length

    def _compact(self) -> None:
        self.close()
        fresh = self._journal.with_suffix(".new")
        data = b"".join(_record(key, value) for key, value in self._values.items())
        fresh.write_bytes(_frame(data) if data else b"")
        fresh.replace(self._journal)
        self._file = self._journal.open("ab")
        self._written = len(data)


def _frame(data: bytes) -> bytes:
    return str(len(data)).encode() + b"\n" + data


def _record(key: str, value: bytes | None) -> bytes:
    head = orjson.dumps([key, None if value is None else len(value)])
    return head + b"\n" + (value or b"")
