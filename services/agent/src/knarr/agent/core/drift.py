"""What to make of an object that is no longer as it was applied: heal it, tell of it, or stop fighting over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from knarr.agent.core.ownership import changed_by, lost_paths
from knarr.pipeline.names import ObjectId
from knarr.pipeline.report import DriftEntry

FIGHT_HEALS = 4
FIGHT_WINDOW_SECONDS = 60.0
FIGHT_FIRST_PAUSE_SECONDS = 60.0
FIGHT_LONGEST_PAUSE_SECONDS = 3600.0
LEDGER_ENTRIES = 20


@dataclass(frozen=True, slots=True)
class Fight:
    """How often an object was healed lately, and until when it is left alone. Times in Unix seconds."""

    heals: tuple[float, ...] = ()
    pause_seconds: float = 0.0
    until: float = 0.0

    def resting(self, now: float) -> bool:
        """Whether the object is left alone now."""
        return now < self.until


def after_heal(fight: Fight, now: float) -> Fight:
    """Counts one more heal; the fourth within a minute begins a pause, twice as long each time."""
    recent = (*(t for t in fight.heals if now - t < FIGHT_WINDOW_SECONDS), now)
    if len(recent) < FIGHT_HEALS:
        calm = fight.until and now - fight.until > 10 * FIGHT_WINDOW_SECONDS
        return Fight(heals=recent, pause_seconds=0.0 if calm else fight.pause_seconds, until=fight.until)
    pause = min(FIGHT_LONGEST_PAUSE_SECONDS, max(FIGHT_FIRST_PAUSE_SECONDS, 2 * fight.pause_seconds))
    return Fight(heals=(), pause_seconds=pause, until=now + pause)


def ledger_entry(
    identity: ObjectId, manifest: Mapping[str, Any], metadata: Mapping[str, Any] | None, *, now: float, healed: bool
) -> DriftEntry:
    """Who changed what; `metadata` is what the object was found with, None when it was gone."""
    if metadata is None:
        return DriftEntry(object_id=identity, at_ms=int(now * 1000), healed=healed, deleted=True)
    return DriftEntry(
        object_id=identity,
        manager=changed_by(metadata),
        paths=lost_paths(manifest, metadata),
        at_ms=int(now * 1000),
        healed=healed,
    )


def with_entry(ledger: tuple[DriftEntry, ...], entry: DriftEntry) -> tuple[DriftEntry, ...]:
    """The ledger with one more entry, the oldest dropped beyond twenty."""
    return (*ledger, entry)[-LEDGER_ENTRIES:]
