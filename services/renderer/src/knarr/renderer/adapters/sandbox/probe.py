"""Tries, inside a sandboxed child, what the sandbox must refuse. Run once at start and by tests.

Writes a JSON list of what was *not* refused to standard output: an empty list is a sandbox that holds. Some attempts
serve tests of the limits and are made only when asked for.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run(options: dict[str, Any]) -> int:
    """The exit code."""
    if "attempt" in options:
        return _at_the_limits(str(options["attempt"]))
    attempts: dict[str, Callable[[], object]] = {
        "read a file of the system": lambda: Path("/etc/passwd").read_bytes(),
        "read another process's environment": lambda: Path("/proc/1/environ").read_bytes(),
        "list the root": lambda: os.listdir("/"),
        "read a neighbour's workspace": lambda: os.listdir(os.path.dirname(options["root"])),
        "follow a link out of the workspace": lambda: Path(options["root"], "link").read_bytes(),
        "write into the workspace": lambda: Path(options["root"], "new").write_bytes(b"x"),
        "write into /tmp": lambda: Path("/tmp/knarr-probe").write_bytes(b"x"),  # noqa: S108
        "open an internet socket": lambda: socket.socket(socket.AF_INET),
        "open a local socket": lambda: socket.socket(socket.AF_UNIX),
        "open a packet socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "run a shell": lambda: subprocess.run(["/bin/sh", "-c", ":"], check=True),
        "trace a process": lambda: _library_call("ptrace", 0, 0, 0, 0),
        "make a namespace": lambda: _library_call("unshare", 0x10000000),
    }
    sys.stdout.write(json.dumps([name for name, attempt in attempts.items() if _succeeds(attempt)]))
    return 0


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def _library_call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def _at_the_limits(attempt: str) -> int:
    match attempt:
        case "memory":
            hoard = []
            while True:
                hoard.append(bytearray(1 << 24))
        case "time":
            while True:
                pass
        case "output":
            while True:
                sys.stdout.write("x" * 65_536)
        case "children":
            if os.fork() == 0:
                while True:
                    pass
    sys.stdout.write(json.dumps(dict(os.environ)))
    return 0
