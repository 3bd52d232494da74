"""A real OCI registry on loopback, contents in memory: where a test pushes charts with helm and fetches them again.

Built from its module on first use (`make registry`).
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from knarr.local.build import binary
from knarr.local.health import answers_ok
from knarr.local.ports import free_port
from knarr.local.process import Command, OwnedProcess


class RegistryServer:
    """`async with RegistryServer(folder) as registry:` then `helm push chart.tgz oci://{registry.address}/team`."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self.address = f"127.0.0.1:{free_port()}"
        self._process: OwnedProcess | None = None

    async def __aenter__(self) -> Self:
        program = await asyncio.to_thread(binary, "crane")
        argv = (str(program), "registry", "serve", "--address", self.address)
        self._process = OwnedProcess(Command(name="registry", argv=argv, environment={}), self._state_dir)
        await self._process.start(self._ready)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            await self._process.kill()

    async def _ready(self) -> bool:
        return await answers_ok(f"http://{self.address}/v2/")
