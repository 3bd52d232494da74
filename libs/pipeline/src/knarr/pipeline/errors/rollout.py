"""KNR3xxx: errors of rollout."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
