"""Numbered migrations, each in its own transaction, one process at a time.

`migrations/NNNN_what.sql` are applied in order and never changed after a release. The advisory lock makes several
replicas that start together wait for one another.
"""

from __future__ import annotations

import hashlib
from importlib import resources

import asyncpg

from knarr.pipeline.errors import rejected

_LOCK = 0x6B6E617272  # "knarr"
_TABLE = """
create table if not exists status.migration (
    number int primary key, name text not null, sha256 text not null, applied_at timestamptz not null default now()
)
"""


async def migrate(connection: asyncpg.Connection) -> int:
    """Applies what is missing; how many were applied. KNR5004 when an applied one differs from the file."""
    async with connection.transaction():
        await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
        if not await connection.fetchval("select 1 from pg_namespace where nspname = 'status'"):
            await connection.execute("create schema status")
        await connection.execute(_TABLE)
        applied = {r["number"]: r["sha256"] for r in await connection.fetch("select * from status.migration")}
        files = migrations()
        _check_known(applied, {number for number, _, _ in files})
        count = 0
        for number, name, text in files:
            digest = hashlib.sha256(text.encode()).hexdigest()
            if number in applied:
                _check_same(name, applied[number], digest)
                continue
            await connection.execute(text)
            await connection.execute(
                "insert into status.migration (number, name, sha256) values ($1, $2, $3)", number, name, digest
            )
            count += 1
        return count


def migrations() -> list[tuple[int, str, str]]:
    """(number, file name, SQL), in order."""
    folder = resources.files(__package__) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name, (folder / name).read_text(encoding="utf-8")) for name in names]


def _check_known(applied: dict[int, str], known: set[int]) -> None:
    if newer := sorted(set(applied) - known):
        raise rejected("KNR5004", f"the database knows migration {newer[-1]}, this version does not")


def _check_same(name: str, applied: str, now: str) -> None:
    if applied != now:
        raise rejected("KNR5004", f"migration {name} was applied with another content")
