"""Named SQL from files: `-- name: <name>` starts a statement."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_NAME = re.compile(r"^-- name: ([a-z_]+)\s*$", re.MULTILINE)


@cache
def statement(name: str) -> str:
    """The statement called `name`. KeyError when no file has it."""
    return _all()[name]


@cache
def _all() -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in sorted((resources.files(__package__) / "sql").iterdir(), key=lambda e: e.name):
        parts = _NAME.split(entry.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found:
                raise KeyError(f"two statements are called {name}")
            found[name] = text.strip()
    return found
