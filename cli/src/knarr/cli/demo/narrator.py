"""What the demo says: headings, facts, and one live line while something is under way."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from pathlib import Path

import click

_INDENT = " " * 10
_WIDEST = 140


class Narrator:
    """Writes to the terminal; the live line is redrawn there, and left out where there is no terminal."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._shown = ""
        self._began = time.monotonic()

    def chapter(self, title: str) -> None:
        """What happens next, and when."""
        self._clear()
        elapsed = time.monotonic() - self._began
        click.echo(f"\n{click.style(f'[{elapsed:5.1f} s]', dim=True)} {click.style(title, bold=True)}")

    def fact(self, text: str, *, colour: str | None = None) -> None:
        """A line that stays, folded where the terminal ends; one that is indented keeps its indent."""
        self._clear()
        for line in text.splitlines():
            for part in _folded(line):
                click.echo(_INDENT + (click.style(part, fg=colour) if colour else part))

    def to_copy(self, what: str, text: str) -> None:
        """An address or a command: never folded, so that it can be copied."""
        self._clear()
        click.echo(f"{_INDENT}{what:<10}{click.style(text, fg='cyan')}")

    def live(self, text: str) -> None:
        """The line that is redrawn."""
        if self._live and text != self._shown:
            self._clear()
            sys.stdout.write(_INDENT + text[: _width()])
            sys.stdout.flush()
            self._shown = text

    def _clear(self) -> None:
        if self._shown:
            sys.stdout.write("\r\x1b[2K")
            self._shown = ""


def shown(path: Path) -> str:
    """As a person would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _width() -> int:
    return min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns) - len(_INDENT) - 1


def _folded(line: str) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())] + "  "
    folded = textwrap.wrap(
        line,
        max(_width(), 40),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )
    return folded or [""]
