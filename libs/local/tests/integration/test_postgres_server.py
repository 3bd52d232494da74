"""The real PostgreSQL: as root in a private folder, through a restart and a kill, one role per database."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest

from knarr.local.postgres import PostgresServer
from knarr.pipeline.errors import KnarrError


async def _run(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_data_roles_and_passwords_outlive_restart_kill_and_a_new_owner(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path) as server:
        dsn = await server.create_database("shop", owner="keeper")
        await _run(dsn, "CREATE TABLE kept AS SELECT 42 AS answer")
        await server.restart()
        assert await _run(dsn, "SELECT answer FROM kept") == 42
        await server.kill()
        await server.start()
        assert await _run(dsn, "SELECT answer FROM kept") == 42

    async with PostgresServer(tmp_path) as again:
        assert await _run(again.dsn("keeper", "shop"), "SELECT answer FROM kept") == 42


async def test_a_private_parent_folder_stays_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    async with PostgresServer(home / "state") as server:
        assert await _run(server.dsn(), "SELECT 1") == 1
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "state" / "postgres-data").stat().st_uid == home.stat().st_uid


async def test_a_database_is_made_from_a_template(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path) as server:
        template = await server.create_database("migrated", owner="keeper")
        await _run(template, "CREATE TABLE rows AS SELECT 7 AS n")
        copy = await server.create_database("test_1", owner="keeper", template="migrated")
        assert await _run(copy, "SELECT n FROM rows") == 7
        await server.drop_database("test_1")
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await _run(copy, "SELECT 1")


async def test_a_role_has_its_own_password_and_no_more_rights_than_its_own(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path) as server:
        await server.create_database("one", owner="first")
        dsn = await server.create_database("two", owner="second")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await _run(dsn.replace("second:", "first:"), "SELECT 1")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await _run(dsn, "CREATE ROLE third")


async def test_a_name_that_is_not_one_is_refused(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path) as server:
        with pytest.raises(KnarrError, match="KNR6117"):
            await server.create_database('x"; DROP DATABASE postgres; --')


async def test_starting_twice_is_starting_once(tmp_path: Path) -> None:
    async with PostgresServer(tmp_path) as server:
        await server.start()
        assert await _run(server.dsn(), "SELECT 1") == 1
    assert not (tmp_path / "postgres.pid").exists()
