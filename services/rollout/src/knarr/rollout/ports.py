"""What rollout needs of the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.revision import Index, RevisionRendered
from knarr.rollout.core.state import FleetState, Member, Placement, Progress, Removal, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingAssignment:
    """A cluster whose newest assignment has to be published, or published again. Content follows from the state."""

    cluster: str
    traceparent: str = ""
    spread_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """Who approved what, and why."""

    revision: str
    actor: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Changes:
    """One transaction. `None` values delete."""

    members: dict[str, Member] = field(default_factory=dict)
    targets: dict[str, Target | None] = field(default_factory=dict)
    placements: dict[tuple[str, str], Placement | None] = field(default_factory=dict)
    removals: dict[tuple[str, str], Removal | None] = field(default_factory=dict)
    revisions: list[RevisionRendered] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    approvals: list[Approved] = field(default_factory=list)
    failing: dict[str, frozenset[str]] | None = None
    progress: dict[str, Progress] = field(default_factory=dict)
    outgoing: list[OutgoingAssignment] = field(default_factory=list)
    decision: RolloutDecided | None = None

    def empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (
            self.members or self.targets or self.placements or self.removals or self.revisions or self.indexes
            or self.approvals or self.outgoing or self.decision or self.progress or self.failing is not None
        )  # fmt: skip


class Store(Protocol):
    """Intent, durable. One writer: whoever holds the lead. Raises Retryable KNR3041 when the database is not there."""

    async def load(self) -> FleetState:
        """Everything, as the last transaction left it."""
        ...

    async def commit(self, changes: Changes) -> None:
        """All of it or nothing."""
        ...

    async def unpublished(self) -> tuple[list[OutgoingAssignment], list[RolloutDecided]]:
        """What was committed and not yet marked as published."""
        ...

    async def mark_published(self, clusters: list[str], decisions: list[int]) -> None:
        """They have been stored by the broker."""
        ...

    async def revision(self, revision: str) -> RevisionRendered | None:
        """A revision ever seen, by its id."""
        ...


class Outbox(Protocol):
    """Where intent goes. Publishing twice equals once: subjects keep the newest, decisions carry their number."""

    async def assignment(self, cluster: str, signed: bytes) -> None:
        """Stores a signed assignment on `assignment.<cluster>`."""
        ...

    async def decided(self, decision: RolloutDecided) -> None:
        """Stores a decision."""
        ...

    async def handled(self, outcome: CommandHandled) -> None:
        """Answers a command."""
        ...

    async def missing_assignments(self, clusters: list[str]) -> list[str]:
        """Of these, the clusters for which the stream holds nothing."""
        ...


class Revisions(Protocol):
    """Where the renderer leaves its revisions."""

    async def newest(self, app: str) -> RevisionRendered | None:
        """The newest revision of an app; None only when the stream says that there is none."""
        ...
