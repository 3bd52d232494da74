"""What is assigned now: one value, replaced whole by each newer assignment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.pipeline.assignment import Approval, AssignedApp, AssignmentBody, AssignmentHeader, Tombstone
from knarr.pipeline.names import AppName


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The apps and removals of one generation. Generation 0: nothing was ever assigned."""

    generation: int = 0
    apps: Mapping[AppName, AssignedApp] = field(default_factory=dict)
    tombstones: Mapping[AppName, Tombstone] = field(default_factory=dict)
    approvals: tuple[Approval, ...] = ()
    traceparent: str = ""
    fetch_spread_seconds: float = 0.0


def intent_of(header: AssignmentHeader, body: AssignmentBody) -> Intent:
    """From an assignment that was verified and understood."""
    return Intent(
        generation=header.generation,
        apps={AppName(a.app): a for a in body.apps},
        tombstones={AppName(t.app): t for t in body.tombstones},
        approvals=body.approvals,
        traceparent=body.traceparent,
        fetch_spread_seconds=body.fetch_spread_seconds,
    )
