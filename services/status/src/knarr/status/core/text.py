"""Words from outside, made fit to keep and to show.

Everything an agent, a Git author or a broker sends is hostile until cleaned: control characters break terminals,
NUL is refused by PostgreSQL (one bad report would poison its batch), and a link may hide a script.
"""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

_LIMIT = 2000
_SCHEMES = frozenset({"https", "http", "ssh", "git"})


def clean(text: str, limit: int = _LIMIT) -> str:
    """`text` without control, format or surrogate characters, at most `limit` characters long."""
    if text.isascii() and text.isprintable():  # nearly all of it, and asked for every word of every report
        kept = text.strip()
        return kept if len(kept) <= limit else kept[: limit - 1] + "…"
    kept = "".join(" " if c in "\n\r\t" else c for c in text[: limit * 2] if c in "\n\r\t" or _printable(c)).strip()
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn"}


def safe_url(url: str) -> str:
    """`url` without user, query and fragment if its scheme may be shown as a link; otherwise empty."""
    try:
        parts = urlsplit(clean(url))
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    if parts.scheme not in _SCHEMES or not host:
        return ""
    return f"{parts.scheme}://{host}{port}{parts.path}"
