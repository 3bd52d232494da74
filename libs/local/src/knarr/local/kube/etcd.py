"""The one etcd that keeps the state of many API servers. Owned by `fleet`."""

from __future__ import annotations

import signal
from pathlib import Path

from knarr.local.health import answers_ok
from knarr.local.ports import free_port
from knarr.local.process import Command, OwnedProcess


class Etcd:
    """An etcd with one member on loopback."""

    def __init__(self, program: Path, state_dir: Path, *, durable: bool) -> None:
        self._port, peer = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        peer_url = f"http://127.0.0.1:{peer}"
        argv = [
            str(program),
            "--name=knarr",
            f"--data-dir={state_dir / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={peer_url}",
            f"--initial-advertise-peer-urls={peer_url}",
            f"--initial-cluster=knarr={peer_url}",
            "--auto-compaction-retention=5m",
            "--quota-backend-bytes=4294967296",
            "--log-level=warn",
        ]
        if not durable:
            argv.append("--unsafe-no-fsync")
        command = Command(name="etcd", argv=tuple(argv), parent_death=signal.SIGTERM)
        self.process = OwnedProcess(command, state_dir)

    async def start(self) -> None:
        """Start it and wait for its health."""
        await self.process.start(self._ready)

    async def _ready(self) -> bool:
        return await answers_ok(f"{self.url}/health")
