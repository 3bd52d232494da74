"""A tool's own words, fit for a message: one line, without this machine's paths."""

from __future__ import annotations

import re
from pathlib import Path

_MOST = 1500


def readable(errors: str, root: Path) -> str:
    """`errors` without `root` and line breaks."""
    text = errors.replace(str(root) + "/", "").replace(str(root), ".")
    return re.sub(r"\s+", " ", text).removeprefix("Error: ").removeprefix("error: ")[:_MOST].strip() or "no message"
