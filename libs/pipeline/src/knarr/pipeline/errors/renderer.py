"""KNR2xxx: errors of documents and the renderer."""

from __future__ import annotations

from knarr.pipeline.errors.entry import Entry

ENTRIES: tuple[Entry, ...] = ()
