"""What a tool says, without what it was given: values and Secrets must not reach messages, events or tables (I9).

A chart's `fail`, or its values.schema.json, quotes values. The rule: the text of every scalar is replaced by `***`,
also in base64, escaped as in JSON or a URL, in either case, and line by line. Never hidden are booleans, null, numbers
of fewer than six digits and texts of fewer than four characters, which would turn messages to mush; a text of four to
seven characters is hidden where it stands as a word of its own, a longer one anywhere, and of one with 24 and more also
every piece of 23. Parts of a scalar with a digit in them (`postgres://me:pa55word@db`) count as scalars.
"""

from __future__ import annotations

import base64
import json
import re
import string
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

MASK = "***"
_SHORTEST, _ANYWHERE, _LONG = 4, 8, 24
_WINDOW, _STRIDE = 16, 8
_MOST_CHARACTERS = 4_000_000
_NOT_HIDDEN = frozenset({"true", "false", "null", "none", "yes", "no", "on", "off"})
_NUMBER = re.compile(r"[-+]?[0-9]{1,5}(\.[0-9]{1,5})?")
_PARTS = re.compile(r"[^\s=:,;'\"@/&?|<>()\[\]{}]{8,}")
# Keeps every character's place, which str.lower() does not.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Mask:
    """Call it with a text. Built from values only when there is something to say."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._by_start: dict[str, set[str]] = {}
        self._windows: set[str] = set()
        self._too_many = False
        size = 0
        for form in (form for value in values for text in _texts(value) for form in _forms(text)):
            size += len(form)
            if size > _MOST_CHARACTERS:
                self._too_many = True
                break
            self._add(form.translate(_LOWER))

    def __call__(self, text: str) -> str:
        """`text` with every secret in it replaced; nothing of it where there are too many to look for."""
        if self._too_many:
            return "(not shown: the values are too large to be looked for in it)" if text else ""
        low, hidden = text.translate(_LOWER), bytearray(len(text))
        for start in range(len(low) - _SHORTEST + 1):
            for form in self._by_start.get(low[start : start + _SHORTEST], ()):
                if low.startswith(form, start) and (len(form) >= _ANYWHERE or _is_word(low, start, len(form))):
                    hidden[start : start + len(form)] = b"\1" * len(form)
            if low[start : start + _WINDOW] in self._windows:
                first, last = _around(low, start)
                hidden[first:last] = b"\1" * (last - first)
        return _covered(text, hidden)

    def _add(self, form: str) -> None:
        if len(form) < _SHORTEST:
            return
        self._by_start.setdefault(form[:_SHORTEST], set()).add(form)
        if len(form) >= _LONG:
            self._windows.update(form[i : i + _WINDOW] for i in range(0, len(form) - _WINDOW + 1, _STRIDE))


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value that are worth hiding."""
    stack = [value]
    while stack:
        match stack.pop():
            case dict() as mapping:
                stack.extend(mapping.values())
            case list() | tuple() as items:
                stack.extend(items)
            case None | bool():
                continue
            case scalar:
                text = str(scalar)
                yield from _worth_hiding((text, *text.splitlines(), *_parts(text)))


def _worth_hiding(texts: Iterable[str]) -> Iterator[str]:
    for text in dict.fromkeys(t.strip() for t in texts):
        if len(text) >= _SHORTEST and text.lower() not in _NOT_HIDDEN and not _NUMBER.fullmatch(text):
            yield text


def _parts(text: str) -> Iterator[str]:
    return (part for part in _PARTS.findall(text) if part != text and any(c.isdigit() for c in part))


def _forms(text: str) -> Iterator[str]:
    """The text, and what a template may have made of it."""
    raw = text.encode("utf-8", "surrogatepass")
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b64encode(raw + b"\n")):
        yield encoded.decode().rstrip("=")
    yield quote(raw, safe="")


def _is_word(text: str, start: int, length: int) -> bool:
    end = start + length
    return not (text[start - 1 : start] if start else "").isalnum() and not text[end : end + 1].isalnum()


def _around(text: str, start: int) -> tuple[int, int]:
    """The piece without blanks that a window lies in."""
    first, last = start, start + _WINDOW
    while first and not text[first - 1].isspace():
        first -= 1
    while last < len(text) and not text[last].isspace():
        last += 1
    return first, last


def _covered(text: str, hidden: bytearray) -> str:
    out: list[str] = []
    for index, character in enumerate(text):
        if not hidden[index]:
            out.append(character)
        elif not index or not hidden[index - 1]:
            out.append(MASK)
    return "".join(out)
