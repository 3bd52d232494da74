"""KNR1xxx: errors of the fetcher."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
