"""Runs the numbered migrations that the database has not seen, one process at a time."""

from __future__ import annotations

from importlib import resources

import asyncpg

_LOCK = 0x6B6E617272  # "knarr"


async def migrate(connection: asyncpg.Connection) -> None:
    """Brings the schema up to date; every migration in a transaction of its own."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        if not await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = 'rollout'"):
            await connection.execute("CREATE SCHEMA rollout")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["name"] for row in await connection.fetch("SELECT name FROM migrations")}
        folder = resources.files(__package__) / "migrations"
        for file in sorted(folder.iterdir(), key=lambda f: f.name):
            if file.name.endswith(".sql") and file.name not in done:
                await connection.execute(file.read_text())
                await connection.execute("INSERT INTO migrations (name) VALUES ($1)", file.name)
