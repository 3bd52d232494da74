"""The fetcher's state folder: one SQLite file. May be deleted at any time; what it knew is found again."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from knarr.fetcher.core.manifest import Place
from knarr.fetcher.ports import Remembered
from knarr.pipeline.codec import decode, encode
from knarr.pipeline.errors import retryable
from knarr.pipeline.snapshot import SealedAddress, SnapshotStored

T = TypeVar("T")
_FLEET_FILE = "fleet.yaml"
_AT_ONCE = 500
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS pack (
    id INTEGER PRIMARY KEY, stream TEXT NOT NULL, address BLOB NOT NULL, sealed BLOB NOT NULL,
    UNIQUE (stream, address));
CREATE TABLE IF NOT EXISTS content (
    stream TEXT NOT NULL, id BLOB NOT NULL, size INTEGER NOT NULL,
    pack INTEGER NOT NULL REFERENCES pack ON DELETE CASCADE,
    PRIMARY KEY (stream, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS content_pack ON content (pack);
CREATE TABLE IF NOT EXISTS source (
    name TEXT PRIMARY KEY, last_number INTEGER NOT NULL, stored BLOB, stream TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS document (name TEXT PRIMARY KEY, content BLOB NOT NULL);
"""


class StateFile:
    """The ports `Memory` and `ContentIndex`, in one thread. A file that SQLite cannot read is made anew next time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._connection: sqlite3.Connection | None = None

    async def places(self, stream: str, content_ids: Iterable[bytes]) -> dict[bytes, Place]:
        """See ports.ContentIndex."""
        wanted = tuple(content_ids)
        return await self._run(lambda db: _places(db, stream, wanted))

    async def add(self, stream: str, places: Mapping[bytes, Place]) -> None:
        """See ports.ContentIndex."""
        await self._run(lambda db: _add(db, stream, places))

    async def keep_only(self, stream: str, present: Mapping[bytes, int]) -> None:
        """See ports.ContentIndex."""
        await self._run(lambda db: _keep_only(db, stream, present))

    async def recall(self, source: str) -> Remembered:
        """See ports.Memory."""
        return await self._run(lambda db: _recall(db, source))

    async def remember(self, source: str, remembered: Remembered) -> None:
        """See ports.Memory."""
        await self._run(lambda db: _remember(db, source, remembered))

    async def recall_fleet_file(self) -> bytes:
        """See ports.Memory."""
        return await self._run(_recall_fleet_file)

    async def remember_fleet_file(self, content: bytes) -> None:
        """See ports.Memory."""
        statement = "INSERT OR REPLACE INTO document VALUES (?, ?)"
        await self._run(lambda db: db.execute(statement, (_FLEET_FILE, content)))

    async def close(self) -> None:
        """Closes the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=True)

    async def _run(self, call: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, call)

    def _transaction(self, call: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._connection = _connected(self._path)
            with self._connection:
                return call(self._connection)
        except sqlite3.Error as error:
            self._close()
            if error.sqlite_errorname in _DAMAGED:
                for suffix in ("", "-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            raise retryable("KNR1041", f"{self._path.name}: {error.sqlite_errorname}") from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
    try:
        db.execute("PRAGMA foreign_keys = ON")
        # Survives a kill without waiting for the disk; after a power cut it may be older, which is as good as lost.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db


def _batches(items: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    rest = iter(items)
    while batch := tuple(itertools.islice(rest, _AT_ONCE)):
        yield batch


def _places(db: sqlite3.Connection, stream: str, content_ids: tuple[bytes, ...]) -> dict[bytes, Place]:
    found: dict[bytes, Place] = {}
    packs: dict[bytes, SealedAddress] = {}
    for batch in _batches(content_ids):
        marks = ",".join("?" * len(batch))
        question = (
            "SELECT content.id, content.size, pack.sealed FROM content JOIN pack ON pack.id = content.pack"  # noqa: S608
            f" WHERE content.stream = ? AND content.id IN ({marks})"  # nothing but question marks
        )
        for content_id, size, sealed in db.execute(question, (stream, *batch)):
            pack = packs.get(sealed) or packs.setdefault(sealed, decode(SealedAddress, sealed))
            found[content_id] = Place(size=size, pack=pack)
    return found


def _add(db: sqlite3.Connection, stream: str, places: Mapping[bytes, Place]) -> None:
    numbers: dict[bytes, int] = {}
    for content_id, place in places.items():
        if place.pack is None:
            continue
        if place.pack.address not in numbers:
            numbers[place.pack.address] = _pack_number(db, stream, place.pack)
        row = (stream, content_id, place.size, numbers[place.pack.address])
        db.execute("INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?)", row)


def _pack_number(db: sqlite3.Connection, stream: str, pack: SealedAddress) -> int:
    row = (stream, pack.address, encode(pack))
    db.execute("INSERT OR IGNORE INTO pack (stream, address, sealed) VALUES (?, ?, ?)", row)
    found = db.execute("SELECT id FROM pack WHERE stream = ? AND address = ?", (stream, pack.address)).fetchone()
    return int(found[0])


def _keep_only(db: sqlite3.Connection, stream: str, present: Mapping[bytes, int]) -> None:
    db.execute("DELETE FROM pack WHERE stream <> ?", (stream,))
    known = [(number, decode(SealedAddress, sealed)) for number, sealed in db.execute("SELECT id, sealed FROM pack")]
    lost = [(number,) for number, pack in known if present.get(pack.address, 0) < pack.chunk_count]
    db.executemany("DELETE FROM pack WHERE id = ?", lost)


def _recall(db: sqlite3.Connection, source: str) -> Remembered:
    row = db.execute("SELECT last_number, stored, stream FROM source WHERE name = ?", (source,)).fetchone()
    if row is None:
        return Remembered()
    stored = decode(SnapshotStored, row[1]) if row[1] is not None else None
    return Remembered(last_number=row[0], stored=stored, stream=row[2])


def _remember(db: sqlite3.Connection, source: str, kept: Remembered) -> None:
    stored = encode(kept.stored) if kept.stored is not None else None
    db.execute("INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?)", (source, kept.last_number, stored, kept.stream))


def _recall_fleet_file(db: sqlite3.Connection) -> bytes:
    row = db.execute("SELECT content FROM document WHERE name = ?", (_FLEET_FILE,)).fetchone()
    return bytes(row[0]) if row else b""
