"""All numbered errors together, and the look-up."""

from __future__ import annotations

from knarr.pipeline.errors import agent, cli, fetcher, local, messaging, renderer, rollout, status
from knarr.pipeline.errors.entry import Entry, ErrorKind

__all__ = ["CATALOGUE", "Entry", "ErrorKind", "entry"]

CATALOGUE: dict[str, Entry] = {
    e.code: e
    for module in (fetcher, renderer, rollout, agent, status, cli, local, messaging)
    for e in sorted(module.ENTRIES, key=lambda e: e.code)
}


def entry(code: str) -> Entry:
    """The entry of `code`, upper or lower case. KeyError when there is none."""
    return CATALOGUE[code.upper()]
