"""One child process: started, watched until ready, stopped, and never left behind.

Used by every server of this package. A process belongs to no event loop, so that a server started in one loop (a
session fixture) can be stopped or restarted from another. What "ready" means is the server's business.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from knarr.local import leftover
from knarr.pipeline.errors import rejected, retryable

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run. `parent_death` is what the kernel sends when the thread that started it ends."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    polite: signal.Signals = signal.SIGTERM
    parent_death: signal.Signals = signal.SIGKILL


class OwnedProcess:
    """A running child with a log and a pid record in its state folder."""

    def __init__(self, command: Command, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.command = command
        self.log_file = state_dir / f"{command.name}.log"
        self._record_file = state_dir / f"{command.name}.pid"
        self._owner = _StateLock(state_dir / f"{command.name}.lock")
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the child lives; also reaps it when it does not."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self) -> int | None:
        """The child's pid, None when it does not run."""
        return self._popen.pid if self._popen is not None and self.running else None

    async def start(self, ready: Callable[[], Awaitable[bool]], *, deadline_seconds: float = 30.0) -> None:
        """Start it and wait until `ready` says yes; twice is once. Raises KNR6110 to 6112, leaving nothing running."""
        if self.running:
            return
        self._owner.acquire()
        try:
            await asyncio.to_thread(leftover.stop_leftover, self._record_file, polite=self.command.polite)
            self._spawn()
            await self._until_ready(ready, deadline_seconds)
        except BaseException:
            await self.kill()
            raise

    async def stop(self, *, grace_seconds: float = 10.0) -> None:
        """Ask politely, wait, then kill. Returns when the child is gone and reaped; twice is once."""
        if self.running and self._popen is not None:
            self._popen.send_signal(self.command.polite)
            await self._until_gone(grace_seconds)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL and reap, as a power cut would."""
        if self.running and self._popen is not None:
            self._popen.kill()
            await self._until_gone(30.0)
        self._popen = None
        self._record_file.unlink(missing_ok=True)
        self._owner.release()

    def signal(self, sign: signal.Signals) -> None:
        """Send `sign` to the child if it runs."""
        if self.running and self._popen is not None:
            self._popen.send_signal(sign)

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of the child's output."""
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def _spawn(self) -> None:
        with self.log_file.open("ab") as log:
            # A session of its own: an interrupt at the terminal reaches the parent only, which then stops in order.
            self._popen = subprocess.Popen(
                _tied_to_parent(self.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**_clean_environment(), **self.command.environment},
                start_new_session=True,
            )
        record = leftover.identify(self._popen.pid)
        if record is not None:
            leftover.write_record(self._record_file, record)

    async def _until_ready(self, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not await ready():
            if not self.running:
                raise retryable("KNR6110", f"{self.command.name} ended; log {self.log_file}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise retryable(
                    "KNR6111",
                    f"{self.command.name} not ready in {seconds:g} s; log {self.log_file}:\n{self.log_tail()}",
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def _until_gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.running and time.monotonic() < deadline:  # noqa: ASYNC110 - belongs to no loop, so no event to wait on
            await asyncio.sleep(_POLL_SECONDS)


class _StateLock:
    """Held while this process owns a server, so that a second owner is refused instead of stopping the first's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def acquire(self) -> None:
        if self._fd is not None:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            os.close(fd)
            raise rejected("KNR6112", f"{self._path.parent} is in use by another process") from taken
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def program(name: str) -> str:
    """The path of a system program. Raises KNR6113 when it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise rejected("KNR6113", f"`{name}` is not installed")
    return found


def _tied_to_parent(command: Command) -> list[str]:
    # setpriv sets the parent-death signal and then becomes the server: same pid, and no Python between fork and exec.
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return list(command.argv)
    return [setpriv, f"--pdeathsig={command.parent_death.name.removeprefix('SIG')}", "--", *command.argv]


def _clean_environment() -> dict[str, str]:
    # Proxies, kubeconfigs and credentials of the person who runs this are no business of a local server.
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}
