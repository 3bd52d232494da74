"""libgit2's errors, which are texts, as numbered ones."""

from __future__ import annotations

import re

from knarr.fetcher.core.address import shown
from knarr.pipeline.errors import KnarrError, rejected, retryable

_REJECTED: tuple[tuple[str, str, str], ...] = (
    (r"status code: 40[13]|authentication|unauthorized|permission denied", "KNR1004", "refuses the credentials"),
    (r"certificate|host key|hostkey|\bssl\b.*verif", "KNR1005", "is not trusted"),
    (
        r"status code: (404|410)|not found|does not exist|failed to resolve path|could not find repo|no such repo",
        "KNR1006",
        "has no such repository",
    ),
)
# What is wrong here and not there: a fetch negotiates with what the mirror holds.
_LOCAL = re.compile(r"object not found|no match for id|packfile|pack file|\bodb\b|corrupt|indexer|delta", re.IGNORECASE)
_TIMEOUT = re.compile(r"timed? ?out", re.IGNORECASE)


def remote_failure(error: Exception, url: str) -> KnarrError:
    """The number for an error while talking to the remote at `url`. KNR1008 when the mirror is to blame."""
    text = str(error)
    if _LOCAL.search(text):
        return retryable("KNR1008", "the mirror does not fit what the host sends")
    if _TIMEOUT.search(text):
        return retryable("KNR1007", f"{shown(url)} did not answer in time")
    for pattern, code, what in _REJECTED:
        if re.search(pattern, text, re.IGNORECASE):
            return rejected(code, f"{shown(url)} {what}")
    return retryable("KNR1001", f"{shown(url)}: {_clean(text, url)}")


def _clean(text: str, url: str) -> str:
    """Text of the library or the server, without what it might repeat of the address."""
    printable = "".join(c if c.isprintable() else " " for c in text).replace(url, "the source")
    return re.sub(r"//[^/@\s]*@", "//", printable)[:200]
