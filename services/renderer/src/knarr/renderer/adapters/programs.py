"""Programs on this machine: where they are, and exactly which ones."""

from __future__ import annotations

import hashlib
import shutil
import sys
from functools import cache
from pathlib import Path

from knarr.pipeline.errors import rejected


def found_program(name: str) -> str:
    """The absolute path of a program: as given, beside Python, or on PATH. KNR2405 when there is none."""
    beside = Path(sys.prefix) / "bin" / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise rejected("KNR2405", f"the program {name!r} is not installed here")
    return str(Path(found).absolute())


@cache
def program_digest(path: str) -> str:
    """sha256 of the program's bytes, shortened."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
