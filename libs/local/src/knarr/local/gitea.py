"""A real Gitea on loopback: a Git host with tokens, webhooks, commit statuses, and an OpenID Connect provider.

Built from its module on first use (`make gitea`, needs a C compiler). For plain fetching `git.GitServer` is lighter.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from knarr.local.build import binary, module_source
from knarr.local.health import answers_ok
from knarr.local.ports import free_port
from knarr.local.process import Command, OwnedProcess
from knarr.pipeline.errors import retryable

_TIMEOUT = aiohttp.ClientTimeout(total=30.0)
_ADMIN = "knarr-admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class GiteaUser:
    """An account: its password, and a token for the API and for Git over HTTP."""

    name: str
    password: str
    token: str


class GiteaServer:
    """`async with GiteaServer(folder) as gitea: await gitea.request("POST", "/user/repos", {"name": "fleet"})`."""

    def __init__(self, state_dir: Path, *, port: int = 0) -> None:
        self._state_dir, self._port = state_dir, port or free_port()
        self._config = state_dir / "gitea.ini"
        self._process: OwnedProcess | None = None
        self._program = ""
        self._admin: GiteaUser | None = None

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def admin(self) -> GiteaUser:
        """The administrator, made at the first start."""
        assert self._admin is not None, "not started"
        return self._admin

    def clone_url(self, owner: str, repository: str) -> str:
        """The address of a repository over HTTP, without credentials."""
        return f"{self.url}/{owner}/{repository}.git"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it, building it first if need be, and wait for its health."""
        self._program = str(await asyncio.to_thread(binary, "gitea"))
        await asyncio.to_thread(self._write_config)
        argv = (self._program, "web", "--config", str(self._config))
        command = Command(name="gitea", argv=argv, environment=self._environment())
        self._process = self._process or OwnedProcess(command, self._state_dir)
        await self._process.start(self._ready, deadline_seconds=60.0)
        self._admin = await asyncio.to_thread(self._remembered_admin)

    async def stop(self) -> None:
        """Stop it; repositories and accounts stay in the state folder."""
        if self._process is not None:
            await self._process.stop()

    async def create_user(self, name: str) -> GiteaUser:
        """Make an account with a token."""
        return await asyncio.to_thread(self._make_user, name)

    async def request(
        self, method: str, path: str, body: object = None, *, user: GiteaUser | None = None
    ) -> tuple[int, Any]:
        """One call of its API (`path` below /api/v1) as `user` or the administrator: status and decoded answer."""
        headers = {"Authorization": f"token {(user or self.admin).token}"}
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            async with session.request(method, f"{self.url}/api/v1{path}", json=body, headers=headers) as answer:
                text = await answer.text()
        return answer.status, json.loads(text) if text.startswith(("{", "[")) else text

    async def _ready(self) -> bool:
        return await answers_ok(f"{self.url}/api/healthz")

    def _remembered_admin(self) -> GiteaUser:
        remembered = self._state_dir / "gitea-admin.json"
        if not remembered.exists():
            user = self._make_user(_ADMIN, "--admin")
            with open(os.open(remembered, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                json.dump({"name": user.name, "password": user.password, "token": user.token}, out)
        return GiteaUser(**json.loads(remembered.read_text()))

    def _make_user(self, name: str, *flags: str) -> GiteaUser:
        password = secrets.token_hex(12)
        address = f"{name}@example.test"
        self._run(
            *("admin", "user", "create", "--username", name, "--password", password, "--email", address),
            *("--must-change-password=false", *flags),
        )
        made = self._run(
            *("admin", "user", "generate-access-token", "--username", name),
            *("--token-name", "knarr", "--scopes", "all", "--raw"),
        )
        return GiteaUser(name=name, password=password, token=made.split()[-1])

    def _run(self, *arguments: str) -> str:
        command = [self._program, *arguments, "--config", str(self._config)]
        environment = {**os.environ, **self._environment()}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            # Not the arguments: a password is among them.
            raise retryable("KNR6117", f"gitea {' '.join(arguments[:3])} failed: {done.stderr.strip()[-300:]}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return {"GITEA_WORK_DIR": str(self._state_dir), "HOME": str(self._state_dir), "GIT_CONFIG_NOSYSTEM": "1"}

    def _write_config(self) -> None:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        if self._config.exists():
            # The keys in it stay; only the port may be another one.
            kept = self._config.read_text().split("[security]")[1]
        else:
            kept = f"\nINSTALL_LOCK = true\nSECRET_KEY = {secrets.token_hex(32)}\nPASSWORD_HASH_ALGO = pbkdf2_v2\n"
        self._config.touch(mode=0o600)
        self._config.write_text(self._settings() + "[security]" + kept)

    def _settings(self) -> str:
        folder = self._state_dir
        return f"""\
RUN_USER = {getpass.getuser()}
I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = {str(os.geteuid() == 0).lower()}
RUN_MODE = prod
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {self._port}
ROOT_URL = {self.url}/
STATIC_ROOT_PATH = {module_source("gitea")}
APP_DATA_PATH = {folder / "data"}
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = {folder / "gitea.db"}
[repository]
ROOT = {folder / "repositories"}
DEFAULT_BRANCH = main
[webhook]
ALLOWED_HOST_LIST = loopback
[log]
MODE = console
LEVEL = Warn
[service]
DISABLE_REGISTRATION = true
[actions]
ENABLED = false
[cron.update_checker]
ENABLED = false
"""
