"""The renderer's side of the sandbox: asks the launcher to run something, and says with a number how it ended.

One launcher per renderer process, started at first use and again when it dies. About as many runs at a time as there
are processors, shared out per source; the others wait their turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knarr.pipeline.errors import KnarrError, rejected, retryable
from knarr.renderer.adapters.sandbox import landlock, seccomp
from knarr.renderer.core.fair import Places
from knarr.renderer.core.limits import Limits
from knarr.renderer.room import Room

_MESSAGE_BYTES = 1 << 20
_ERROR_TEXT = 2_000
_READ_BYTES, _CUT_OFF = 65_536, 64
_GRACE_SECONDS = 5.0
_FIRST_PLACES = 6  # beyond the shared ones, for sources that have nothing running
_NICE_PER_RUN, _NICEST = 4, 16  # a source's second run gives way to another's first, and all of them to the service
_NO_MEMORY = ("out of memory", "cannot allocate memory", "MemoryError")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: a program (`argv`) or one of our own modules (`module`, `options`) with `root` readable, in `folder`.

    `source`: whose place it takes. `seconds`: what it may take; all that the limits allow when None.
    `words`: what may be shown of what it says.
    """

    root: Path
    folder: Path
    argv: tuple[str, ...] = ()
    module: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    seconds: float | None = None
    words: Callable[[str], str] = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended. `code` is negative for a signal."""

    code: int
    output: bytes
    errors: str
    peak_kib: int


def unconfined_because() -> str:
    """Why this host cannot confine renderers; empty when it can."""
    missing = []
    if landlock.abi() == 0:
        missing.append("Landlock (kernel 5.13)")
    if not seccomp.available():
        missing.append(f"seccomp on {platform.machine()}")
    return " and ".join(missing)


class Sandbox:
    """Use as `async with`. `confined=False` is for hosts that cannot confine, and is said at start."""

    def __init__(self, work: Path, limits: Limits, *, confined: bool = True, at_once: int = 0) -> None:
        self._work, self._limits, self._confined = work, limits, confined
        self._room = Room(Places(shared=at_once or max(2, os.cpu_count() or 2), first=_FIRST_PLACES))
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    async def __aenter__(self) -> Sandbox:
        self._work.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._drop("the sandbox is closed")
        process, self._process = self._process, None
        if process is not None:
            try:
                await asyncio.to_thread(process.wait, _GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def process_id(self) -> int:
        """The launcher's, 0 when none was started."""
        return self._process.pid if self._process is not None else 0

    async def holds(self) -> tuple[str, ...]:
        """What the sandbox should refuse and does not; empty when it holds."""
        root = self._work / "probe"
        root.mkdir(exist_ok=True)
        link = root / "link"
        if not link.is_symlink():
            link.symlink_to("/etc/hostname")
        module = "knarr.renderer.adapters.sandbox.probe"
        ended = await self.run(Run(root=root, folder=root, module=module, options={"root": str(root)}))
        if ended.code != 0:
            return (f"the probe did not run: {ended.errors[-300:]}",)
        return tuple(json.loads(ended.output))

    async def run(self, run: Run) -> Ended:
        """Runs it. KNR2402 time, KNR2403 memory or killed, KNR2404 output, KNR2409 (retryable) when it cannot begin."""
        async with self._room.place(run.source) as held:
            number = next(self._numbers)
            output, errors, given = (self._work / f"{what}-{number}" for what in ("out", "err", "options"))
            try:
                # Not in the request: a message to the launcher has a bound, values and capabilities have a higher one.
                given.write_text(json.dumps(dict(run.options)))
                request = self._request(run, number, output, errors, given)
                answer = await self._asked({**request, "nice": min(_NICEST, held * _NICE_PER_RUN)})
                return await asyncio.to_thread(self._ended, run, answer, request["seconds"], output, errors)
            finally:
                for path in (output, errors, given):
                    path.unlink(missing_ok=True)

    def _request(self, run: Run, number: int, output: Path, errors: Path, given: Path) -> dict[str, Any]:
        request: dict[str, Any] = {
            "job": number,
            "root": str(run.root),
            "folder": str(run.folder),
            "environment": dict(run.environment),
            "output": str(output),
            "errors": str(errors),
            "seconds": min(self._limits.seconds, run.seconds or self._limits.seconds),
            "memory": self._limits.memory_bytes,
            "output_bytes": self._limits.output_bytes,
            "confined": self._confined,
        }
        if run.argv:
            return {**request, "argv": list(run.argv)}
        return {**request, "module": run.module, "options": str(given)}

    async def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        control = self._launched()
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request["job"]] = future
        try:
            control.send(json.dumps(request).encode())
            async with asyncio.timeout(request["seconds"] + _GRACE_SECONDS):
                return await future
        except (OSError, TimeoutError) as error:
            self._drop("the launcher does not answer")
            raise retryable("KNR2409", "the sandbox's launcher does not answer") from error
        finally:
            self._waiting.pop(request["job"], None)

    def _ended(self, run: Run, answer: dict[str, Any], seconds: float, output: Path, errors: Path) -> Ended:
        code, limits = int(answer["code"]), self._limits
        said = _tail(errors)
        text = run.words(said)[-_ERROR_TEXT:].strip() if code else ""
        if answer["timed_out"]:
            less = "" if seconds >= limits.seconds else f" (of {limits.seconds:g}: it ran out of time before)"
            raise rejected("KNR2402", f"it did not end within {seconds:g} s{less}")
        size = output.stat().st_size if output.exists() else 0
        if size >= limits.output_bytes:
            raise rejected("KNR2404", f"it wrote more than {limits.output_bytes} bytes")
        if code < 0 or any(words in said for words in _NO_MEMORY):
            raise rejected(
                "KNR2403", f"it was ended (signal {-code}) at {answer['peak_kib'] // 1024} MiB: {text[-300:]}"
            )
        return Ended(
            code=code, output=output.read_bytes() if size else b"", errors=text, peak_kib=int(answer["peak_kib"])
        )

    def _launched(self) -> socket.socket:
        if self._control is not None:
            return self._control
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "knarr.renderer.adapters.sandbox.launcher"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env={"LANG": "C.UTF-8"},
                cwd=self._work,
                close_fds=True,
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            raise retryable("KNR2409", f"the sandbox's launcher cannot start: {error.strerror}") from error
        finally:
            theirs.close()
        ours.setblocking(False)
        asyncio.get_running_loop().add_reader(ours, self._answers)
        self._control = ours
        return ours

    def _answers(self) -> None:
        """A reader callback: every answer that has arrived; an end of file means that the launcher is gone."""
        while self._control is not None:
            try:
                message = self._control.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._drop("the launcher ended")
                return
            answer = json.loads(message)
            future = self._waiting.get(answer["job"])
            if future is not None and not future.done():
                future.set_result(answer)

    def _drop(self, why: str) -> None:
        control, self._control = self._control, None
        if control is not None:
            with contextlib.suppress(RuntimeError, ValueError):
                asyncio.get_running_loop().remove_reader(control)
            control.close()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(_lost(why))


def _lost(why: str) -> KnarrError:
    return retryable("KNR2409", f"the renderer's process was lost: {why}")


def _tail(path: Path) -> str:
    if not path.exists():
        return ""
    with path.open("rb") as file:
        beyond = max(0, path.stat().st_size - _READ_BYTES)
        file.seek(beyond)
        text = file.read(_READ_BYTES).decode("utf-8", "replace")
        return text[_CUT_OFF:] if beyond else text  # what is cut is not recognised as what it was
