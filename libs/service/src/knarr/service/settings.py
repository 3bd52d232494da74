"""Settings from the environment, parsed once, with all mistakes at once.

A service's settings.py builds one frozen value through a `Reader` and then calls `done()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from knarr.pipeline.errors import rejected

T = TypeVar("T")
_KEY_BYTES = 32


class Reader:
    """Reads named variables and remembers what is wrong with them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._mistakes: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """A text; a mistake when it is unset and has no default."""
        return self._read(name, default, str, "a text", "")

    def number(self, name: str, default: float | None = None) -> float:
        """A number."""
        return self._read(name, default, float, "a number", 0.0)

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number."""
        return self._read(name, default, int, "a whole number", 0)

    def flag(self, name: str, default: bool = False) -> bool:
        """true/false, 1/0, yes/no."""
        return self._read(name, default, _flag, "true or false", False)

    def path(self, name: str, default: Path | None = None) -> Path:
        """A path, not checked for existence."""
        return self._read(name, default, Path, "a path", Path())

    def secret(self, name: str) -> bytes:
        """The content of the file named by the variable, without a final newline. Never logged."""
        return self._read(name, None, _content, "the path of a readable file", b"")

    def key(self, name: str) -> bytes:
        """A key of 32 raw bytes in the file named by the variable. Never logged."""
        return self._read(name, None, _key, "the path of a file of 32 raw bytes", bytes(32))

    def words(self, name: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Words separated by commas."""
        return self._read(name, default, _words, "words separated by commas", ())

    def mistake(self, text: str) -> None:
        """Adds a mistake that spans settings."""
        self._mistakes.append(text)

    def done(self) -> None:
        """KNR6001 with every mistake, if there is one."""
        if self._mistakes:
            raise rejected("KNR6001", "settings are wrong: " + "; ".join(self._mistakes))

    def _read(self, name: str, default: T | None, parse: Callable[[str], T], what: str, instead: T) -> T:
        raw = self._environment.get(name, "")
        if raw == "":
            if default is not None:
                return default
            self._mistakes.append(f"{name} is not set")
            return instead
        try:
            return parse(raw)
        except (ValueError, OSError):
            self._mistakes.append(f"{name} is not {what}")
            return instead


def _flag(raw: str) -> bool:
    if raw.lower() in ("1", "true", "yes", "on"):
        return True
    if raw.lower() in ("0", "false", "no", "off"):
        return False
    raise ValueError(raw)


def _content(raw: str) -> bytes:
    return Path(raw).read_bytes().removesuffix(b"\n")


def _key(raw: str) -> bytes:
    content = Path(raw).read_bytes()
    if len(content) != _KEY_BYTES:
        raise ValueError(raw)
    return content


def _words(raw: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in raw.split(",") if word.strip())
