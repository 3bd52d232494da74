"""A commit's way, stage by stage: fetch → snapshot → render → decide → deliver → apply → healthy.

Every moment is the hub's: a report's arrival stands for what it reports. A stage ends when its last cluster is there;
clusters for which a newer intent came first do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any


class CommitState(Enum):
    """How far a commit is, in one word."""

    FETCHING = "fetching"
    RENDERING = "rendering"
    DECIDING = "deciding"
    DELIVERING = "delivering"
    HEALTHY = "healthy"
    UNCHANGED = "unchanged"
    HELD = "held"
    FAILED = "failed"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage. `ended_at_ms` is None while it goes on, `started_at_ms` while it has not begun."""

    name: str
    started_at_ms: int | None
    ended_at_ms: int | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it is not over."""
        if self.started_at_ms is None or self.ended_at_ms is None:
            return None
        return max(0, self.ended_at_ms - self.started_at_ms) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the read model knows of a commit's way. Counts are of (cluster, app)."""

    observed_at_ms: int | None
    stored_at_ms: int | None
    render_started_at_ms: int | None
    rendered_at_ms: int | None
    decided_at_ms: int | None
    first_reached_at_ms: int | None = None
    last_reached_at_ms: int | None = None
    last_healthy_at_ms: int | None = None
    total: int = 0
    reached: int = 0
    healthy: int = 0
    superseded: int = 0
    held: int = 0
    # Held until something newer took their place: never sent.
    dropped: int = 0
    failed: int = 0


def stages(p: Progress) -> tuple[Stage, ...]:
    """The seven stages in order. Without deliveries the last three do not begin.

    A moment that is not known although a later one is (the broker keeps only the newest message of a kind) makes no
    stage; the next one then begins where the last known one ended.
    """
    wanted = p.total - p.superseded
    ends = (
        ("fetch", p.stored_at_ms),
        ("snapshot", p.render_started_at_ms),
        ("render", p.rendered_at_ms),
        ("decide", p.decided_at_ms),
        ("deliver", p.first_reached_at_ms),
        ("apply", p.last_reached_at_ms if p.reached >= wanted else None),
        ("healthy", p.last_healthy_at_ms if p.healthy >= wanted else None),
    )
    last = 7 if p.total else 4
    found: list[Stage] = []
    start = p.observed_at_ms
    for number, (name, moment) in enumerate(ends):
        overtaken = moment is None and any(end is not None for _, end in ends[number + 1 :])
        if number >= last or start is None or overtaken:
            found.append(Stage(name=name, started_at_ms=None, ended_at_ms=None))
            continue
        end = None if moment is None else max(start, moment)
        found.append(Stage(name=name, started_at_ms=start, ended_at_ms=end))
        start = end
    return tuple(found)


def commit_state(p: Progress, newest: bool) -> CommitState:
    """The word; `newest`: no later commit of the source is known."""
    if p.held:
        return CommitState.HELD
    if p.failed:
        return CommitState.FAILED
    if p.decided_at_ms is None and p.rendered_at_ms is None:
        if not newest:
            return CommitState.SUPERSEDED
        return CommitState.FETCHING if p.stored_at_ms is None else CommitState.RENDERING
    if p.decided_at_ms is None:
        return CommitState.DECIDING if newest else CommitState.SUPERSEDED
    if p.total == 0:
        return CommitState.DROPPED if p.dropped else CommitState.UNCHANGED
    if p.healthy >= p.total:
        return CommitState.HEALTHY
    if p.healthy + p.superseded >= p.total:
        return CommitState.SUPERSEDED
    return CommitState.DELIVERING


def progress_of(row: Mapping[str, Any], held: int, dropped: int) -> Progress:
    """From a row of the read model."""
    outcomes: Sequence[Mapping[str, Any]] = row["touched"]
    return Progress(
        observed_at_ms=row["observed_at_ms"] or None,
        stored_at_ms=row["stored_at_ms"],
        render_started_at_ms=row["render_started_at_ms"],
        rendered_at_ms=row["rendered_at_ms"],
        decided_at_ms=row["decided_at_ms"],
        first_reached_at_ms=row["first_reached_at_ms"],
        last_reached_at_ms=row["last_reached_at_ms"],
        last_healthy_at_ms=row["last_healthy_at_ms"],
        total=row["total"],
        reached=row["reached"],
        healthy=row["healthy"],
        superseded=row["superseded"],
        held=held,
        dropped=dropped,
        failed=sum(1 for o in outcomes if o["outcome"] == "failed") + (1 if row["failures"] else 0),
    )
