"""What the demo says: headings, facts, and one live line while something is under way."""

from __future__ import annotations

import sys
import time

import click


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
        """One line that stays."""
        self._clear()
        for line in text.splitlines():
            click.echo("          " + (click.style(line, fg=colour) if colour else line))

    def live(self, text: str) -> None:
        """The line that is redrawn."""
        if self._live and text != self._shown:
            self._clear()
            sys.stdout.write("          " + text)
            sys.stdout.flush()
            self._shown = text

    def _clear(self) -> None:
        if self._shown:
            sys.stdout.write("\r\x1b[2K")
            self._shown = ""
