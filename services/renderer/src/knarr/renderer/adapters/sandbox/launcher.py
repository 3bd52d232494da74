"""The process that starts renderers: small, single-threaded, with an empty environment and no key in its memory.

`python -I -m knarr.renderer.adapters.sandbox.launcher`, started by box.py with a socket as standard input. Each request
is a child of its own: limits set, files and system calls restricted, then either a program is run or one of our own
calls is made (helm, jsonnet: libraries in the child). Standard library only, so that a fork is cheap and clean.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any

from knarr.renderer.adapters.sandbox import landlock, seccomp

_MESSAGE_BYTES = 1 << 20
_SYSTEM_READABLE = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/null", "/dev/urandom")
_SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_FAILED_TO_START = 125


@dataclass
class _Child:
    """A running renderer."""

    job: int
    pid: int
    handle: int
    deadline: float
    timed_out: bool = False


def main() -> None:
    """Serves requests until the other side closes."""
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    children: dict[int, _Child] = {}
    try:
        while _serve(control, selector, children):
            pass
    finally:
        for child in children.values():
            _kill(child)


def _serve(control: socket.socket, selector: selectors.BaseSelector, children: dict[int, _Child]) -> bool:
    now = time.monotonic()
    wait = min((c.deadline - now for c in children.values() if not c.timed_out), default=None)
    for key, _ in selector.select(None if wait is None else max(wait, 0.0)):
        if key.fileobj is control:
            message = control.recv(_MESSAGE_BYTES)
            if not message:
                return False
            child = _start(json.loads(message), control)
            children[child.handle] = child
            selector.register(child.handle, selectors.EVENT_READ)
        else:
            child = children.pop(key.fd)
            selector.unregister(child.handle)
            _ended(child, control)
    for child in children.values():
        if not child.timed_out and time.monotonic() >= child.deadline:
            child.timed_out = True
            _kill(child)
    return True


def _start(request: dict[str, Any], control: socket.socket) -> _Child:
    pid = os.fork()
    if pid == 0:
        control.close()
        _run(request)
    return _Child(request["job"], pid, os.pidfd_open(pid), time.monotonic() + float(request["seconds"]))


def _ended(child: _Child, control: socket.socket) -> None:
    _, status, usage = os.wait4(child.pid, 0)
    os.close(child.handle)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)  # what it may have started itself
    answer = {
        "job": child.job,
        "code": os.waitstatus_to_exitcode(status),
        "timed_out": child.timed_out,
        "peak_kib": usage.ru_maxrss,
    }
    control.send(json.dumps(answer).encode())


def _kill(child: _Child) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)


def _run(request: dict[str, Any]) -> None:
    """In the child: never returns."""
    code = _FAILED_TO_START
    try:
        os.setpgid(0, 0)
        os.nice(int(request["nice"]))
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        for number, name in ((1, "output"), (2, "errors")):
            os.dup2(os.open(request[name], flags, 0o600), number)
        os.chdir(request["folder"])
        _limit(request)
        code = _program(request) if "argv" in request else _call(request)
    except BaseException:  # noqa: BLE001 - the last frame of a child: what it says is the run's error text
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _limit(request: dict[str, Any]) -> None:
    memory, output = int(request["memory"]), int(request["output_bytes"])
    seconds = int(float(request["seconds"])) + 1
    for what, value in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, output),
        (resource.RLIMIT_CPU, seconds * 2),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 512),
    ):
        resource.setrlimit(what, (value, value))


def _restrict(request: dict[str, Any], readable: tuple[str, ...], executable: tuple[str, ...]) -> None:
    if not request["confined"]:
        return
    landlock.restrict((*_SYSTEM_READABLE, request["root"], *readable), executable)
    seccomp.restrict()


def _program(request: dict[str, Any]) -> int:
    argv = request["argv"]
    program = os.path.realpath(argv[0])
    _restrict(request, (), (program, *_SYSTEM_LIBRARIES))
    os.execve(program, argv, request["environment"])  # noqa: S606


def _call(request: dict[str, Any]) -> int:
    with open(request["options"], encoding="utf-8") as file:
        options = json.load(file)
    os.environ.clear()
    os.environ.update(request["environment"])
    # Before the import: a library that starts threads would leave them unrestricted.
    _restrict(request, (sys.prefix, sys.base_prefix, os.path.dirname(__file__)), _SYSTEM_LIBRARIES)
    module = importlib.import_module(request["module"])
    return int(module.run(options))


if __name__ == "__main__":
    main()
