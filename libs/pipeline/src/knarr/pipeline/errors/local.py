"""KNR6xxx: errors of the command line and the local servers."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
