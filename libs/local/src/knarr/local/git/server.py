"""One Git host: a folder of bare repositories, served over HTTP and SSH by this process.

Unlike the other servers it lives in its caller's event loop. Keys and ports stay through `stop` and `start`.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncssh
from aiohttp import web

from knarr.local.git import ssh
from knarr.local.git.backend import Backend
from knarr.local.git.http import HttpState, make_application
from knarr.local.git.repository import GitRepository
from knarr.local.ports import free_port

_STOP_SECONDS = 5.0


class GitServer:
    """`async with GitServer(folder) as git: git.create("fleet").commit({"fleet.yaml": "..."})`."""

    def __init__(self, state_dir: Path, *, token: str | None = None) -> None:
        self._root, self._keys = state_dir / "repositories", state_dir / "keys"
        self._http_port, self._ssh_port = free_port(), free_port()
        # `http.refuse_with` and `http.token` may be changed while it runs; `http.requests` tells what came.
        self.http = HttpState(token=token)
        self._runner: web.AppRunner | None = None
        self._acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def root(self) -> Path:
        """The folder of the bare repositories."""
        return self._root

    @property
    def client_key_file(self) -> Path:
        """The private key that may connect over SSH; its public half lies beside it with `.pub`."""
        return self._keys / "client"

    @property
    def known_hosts(self) -> str:
        """The line for a known_hosts file that makes this server's present key the right one."""
        public = self._key("host").export_public_key().decode().strip()
        return f"[127.0.0.1]:{self._ssh_port} {public}\n"

    def http_url(self, name: str) -> str:
        """The address of repository `name` over HTTP, without credentials."""
        return f"http://127.0.0.1:{self._http_port}/{name}.git"

    def ssh_url(self, name: str) -> str:
        """The address of repository `name` over SSH."""
        return f"ssh://git@127.0.0.1:{self._ssh_port}/{name}.git"

    def create(self, name: str) -> GitRepository:
        """Make an empty bare repository."""
        return GitRepository.create(self._root / f"{name}.git")

    def repository(self, name: str) -> GitRepository:
        """The repository `name`, made earlier."""
        return GitRepository(self._root / f"{name}.git")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen on both ports."""
        self._root.mkdir(parents=True, exist_ok=True)
        self._keys.mkdir(parents=True, exist_ok=True, mode=0o700)
        backend = Backend(self._root)
        self._runner = web.AppRunner(
            make_application(backend, self.http),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_STOP_SECONDS,
        )
        try:
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", self._http_port).start()
            self._acceptor = await ssh.listen(
                backend, port=self._ssh_port, host_key=self._key("host"), client_key=self._key("client")
            )
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening and cut off who is connected."""
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()
            self._acceptor = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def change_host_key(self) -> None:
        """Be another host on the same address, as an impostor would be."""
        await self.stop()
        (self._keys / "host").unlink()
        await self.start()

    def _key(self, name: str) -> asyncssh.SSHKey:
        path = self._keys / name
        if not path.exists():
            self._keys.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = asyncssh.generate_private_key("ssh-ed25519", comment=f"knarr-{name}")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(key.export_private_key())
            path.with_suffix(".pub").write_bytes(key.export_public_key())
        return asyncssh.read_private_key(path)
