"""What rollout needs of the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.revision import RevisionRendered
from knarr.rollout.core.changes import Changes, OutgoingAssignment
from knarr.rollout.core.state import FleetState


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpublished:
    """What was committed and is not known to be in the streams."""

    outgoing: tuple[OutgoingAssignment, ...] = ()
    decisions: tuple[RolloutDecided, ...] = ()
    answers: tuple[CommandHandled, ...] = ()


class Outdated(Exception):
    """Something else than expected is stored on the subject."""


class Store(Protocol):
    """Intent, durable. One writer: whoever holds the lead.

    Raises Retryable KNR3041 when the database is not there, KNR3042 for a write of a process that has lost the lead.
    """

    async def load(self) -> FleetState:
        """Everything, as the last transaction left it; the epoch is not the store's to know."""
        ...

    async def commit(self, changes: Changes) -> None:
        """All of it or nothing."""
        ...

    async def unpublished(self) -> Unpublished:
        """What was committed and not yet marked as published; decisions with their numbers."""
        ...

    async def mark_published(self, published: Unpublished) -> None:
        """They have been stored by the broker."""
        ...

    async def revision(self, revision: str) -> RevisionRendered | None:
        """A revision ever seen, by its id."""
        ...

    async def answer(self, command_id: str) -> CommandHandled | None:
        """What a command was answered, if it was."""
        ...

    async def check_lead(self) -> None:
        """Nothing while this process leads; KNR3042 when another one does."""
        ...


class Outbox(Protocol):
    """Where intent goes. Publishing twice equals once: subjects keep the newest, decisions carry their number."""

    async def assignment(self, cluster: str, signed: bytes, *, expect: int) -> int:
        """Stores a signed assignment on `assignment.<cluster>` over the sequence that is expected there (0: nothing);
        its own. Outdated when something else is there."""
        ...

    async def newest_assignment(self, cluster: str) -> tuple[bytes, int] | None:
        """What is stored there now, and its sequence; None only when the stream says that there is nothing."""
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
