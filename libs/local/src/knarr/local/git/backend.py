"""Runs git for one request. Bounded: so many at once, each with a deadline, none left when its client is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from knarr.local.process import program

_SECONDS_PER_REQUEST = 300.0
_LINGERING_SECONDS = 5.0
_AT_ONCE = 16


class Backend:
    """Starts git programs over a folder of bare repositories."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._git = program("git")
        self._slots = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def run(self, *arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """`git` with `arguments` and three pipes; killed when the block fails, or when it lingers after it."""
        async with self._slots, asyncio.timeout(_SECONDS_PER_REQUEST):
            child = await asyncio.create_subprocess_exec(
                self._git,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**self._environment(), **environment},
            )
            try:
                yield child
                await _ended(child)
            finally:
                _kill(child)
                # Reads what is left, too: a full pipe would keep the child's transport open.
                await child.communicate()

    def repository(self, path: str) -> Path | None:
        """The bare repository that a client calls `path`, or None when it is none of ours."""
        found = (self._root / path.strip("/")).resolve()
        return found if found.is_relative_to(self._root) and (found / "HEAD").exists() else None

    def _environment(self) -> dict[str, str]:
        # No configuration but ours: the person's and the machine's would change what a test sees.
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self._root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_COUNT": "3",
            "GIT_CONFIG_KEY_0": "http.receivepack",
            "GIT_CONFIG_VALUE_0": "true",
            "GIT_CONFIG_KEY_1": "uploadpack.allowAnySHA1InWant",
            "GIT_CONFIG_VALUE_1": "true",
            "GIT_CONFIG_KEY_2": "safe.directory",
            "GIT_CONFIG_VALUE_2": "*",
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
        }


async def _ended(child: asyncio.subprocess.Process) -> None:
    if child.stdin is not None:
        child.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGERING_SECONDS):
            await child.communicate()


def _kill(child: asyncio.subprocess.Process) -> None:
    # Not `child.kill()`: that polls first, and so takes an ended child's exit status away from asyncio's watcher, which
    # then warns of an unknown process. A pid that is not reaped yet is still the child's.
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
