"""KNR4xxx: errors of the agent."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
