"""The renderers' command-line programs on this machine: what to run, and which version that is.

Called by `knarr up`, `knarr render` and tests, which hand the answer to the renderer's settings. Builds nothing unless
told to.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from knarr.local.build import binary, cached_binary, version_of
from knarr.local.process import program
from knarr.pipeline.errors import rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCommand:
    """The first words of a command, and the version of the program behind it."""

    argv: tuple[str, ...]
    version: str


def kustomize_command(*, build: bool = False) -> ToolCommand:
    """What renders the folder that is appended: stand-alone kustomize, else kubectl's, which is ten times slower."""
    built = binary("kustomize") if build else cached_binary("kustomize")
    if built is not None:
        return ToolCommand(argv=(str(built), "build"), version=version_of("kustomize"))
    kubectl = _from_environment("kubectl")
    return ToolCommand(argv=(kubectl, "kustomize"), version=_kustomize_version_of(kubectl))


def helm_command(*, build: bool = False) -> ToolCommand:
    """helm. Raises KNR6113 when it was not built (`make helm`) and may not be now."""
    built = binary("helm") if build else cached_binary("helm")
    if built is None:
        raise rejected("KNR6113", "helm is not built; `make helm` does")
    return ToolCommand(argv=(str(built),), version=version_of("helm"))


@cache
def _kustomize_version_of(kubectl: str) -> str:
    answer = subprocess.run(
        [kubectl, "version", "--client", "--output=json"], capture_output=True, text=True, check=True, timeout=30
    )
    return str(json.loads(answer.stdout)["kustomizeVersion"])


def _from_environment(name: str) -> str:
    beside_python = Path(sys.prefix) / "bin" / name
    return str(beside_python) if beside_python.exists() else program(name)
