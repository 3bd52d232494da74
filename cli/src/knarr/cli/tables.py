"""Lists on a terminal: aligned tables a person can read, or JSON and YAML for a program."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

Row = dict[str, Any]
Column = tuple[str, Callable[[Row], str]]
_COLOURS = {
    "healthy": "green",
    "assigned": "green",
    "progressing": "cyan",
    "delivering": "cyan",
    "waiting": "cyan",
    "held": "yellow",
    "drifted": "yellow",
    "unknown": "magenta",
    "failed": "red",
    "degraded": "red",
    "refused": "red",
}
_GLYPHS = {
    "healthy": "✔",
    "progressing": "◐",
    "waiting": "○",
    "held": "■",
    "drifted": "≠",
    "unknown": "?",
    "failed": "✖",
    "degraded": "✖",
}


def show(rows: Sequence[Row], columns: Sequence[Column], output: str) -> str:
    """The rows in the asked form: `table`, `wide`, `json` or `yaml`."""
    if output == "json":
        return json.dumps(list(rows), indent=2)
    if output == "yaml":
        import yaml

        return str(yaml.safe_dump(list(rows), sort_keys=False, allow_unicode=True)).rstrip()
    return table([name for name, _ in columns], [[clean(cell(row)) for _, cell in columns] for row in rows])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, as kubectl does; standings in colour where the terminal has it."""
    widths = [max(len(c) for c in column) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(h.ljust(w) for h, w in zip(head, widths, strict=True)).rstrip()]
    for row in rows:
        cells = [_coloured(c.ljust(w)) for c, w in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def standing(word: str) -> str:
    """A standing with its glyph, so that colour is not needed to tell them apart."""
    return f"{_GLYPHS.get(word, '·')} {word}"


def counts(found: dict[str, int]) -> str:
    """`11 healthy, 1 failed`."""
    return ", ".join(f"{n} {word}" for word, n in found.items() if n) or "-"


def age(milliseconds: int | None) -> str:
    """How long ago, in the largest unit that says enough."""
    if not milliseconds:
        return "-"
    return span(max(0.0, time.time() - milliseconds / 1000))


def span(seconds: float | None) -> str:
    """A duration for people: 0.3s, 12s, 4m, 3h, 2d."""
    if seconds is None:
        return "-"
    if seconds < 10:
        return f"{seconds:.1f}s"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def clean(text: str) -> str:
    """Without control characters: what comes from clusters and commits must not drive the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _coloured(cell: str) -> str:
    word = cell.strip().rpartition(" ")[2]
    colour = _COLOURS.get(word)
    return click.style(cell, fg=colour) if colour else cell
