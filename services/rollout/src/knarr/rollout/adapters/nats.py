"""Rollout's ports on NATS: revisions in, assignments and decisions out."""

from __future__ import annotations

from knarr.messaging.broker import Broker
from knarr.messaging.broker import Outdated as BrokerOutdated
from knarr.messaging.streams import ASSIGNMENTS, REVISIONS
from knarr.messaging.subjects import (
    assignment_subject,
    decision_subject,
    handled_subject,
    revision_subject,
)
from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.names import FLEET_SOURCE
from knarr.pipeline.revision import RevisionRendered
from knarr.rollout.ports import Outdated


class NatsOutbox:
    """The `Outbox` port. Assignments keep the newest per cluster; decisions are de-duplicated by their number."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def assignment(self, cluster: str, signed: bytes, *, expect: int) -> int:
        """Stores a signed assignment over the sequence that is expected; the stream republishes it as a hint."""
        try:
            return await self._broker.publish_bytes(assignment_subject(cluster), signed, expect_last=expect)
        except BrokerOutdated as error:
            raise Outdated(cluster) from error

    async def newest_assignment(self, cluster: str) -> tuple[bytes, int] | None:
        """What is stored there now, and its sequence."""
        found = await self._broker.newest_bytes(ASSIGNMENTS, assignment_subject(cluster))
        return (found.value, found.sequence) if found is not None else None

    async def decided(self, decision: RolloutDecided) -> None:
        """Stores a decision under the source whose commit it answers."""
        source = decision.commit.source if decision.commit else FLEET_SOURCE
        await self._broker.publish(decision_subject(source), decision, message_id=f"{decision.epoch}-{decision.number}")

    async def handled(self, outcome: CommandHandled) -> None:
        """Answers a command."""
        await self._broker.publish(handled_subject(outcome.command_id), outcome)

    async def missing_assignments(self, clusters: list[str]) -> list[str]:
        """Of these, the clusters for which the stream holds nothing."""
        if not clusters:
            return []
        held = await self._broker.subjects_of(ASSIGNMENTS, "assignment.*")
        return [c for c in clusters if assignment_subject(c) not in held]


class NatsRevisions:
    """The `Revisions` port."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def newest(self, app: str) -> RevisionRendered | None:
        """The newest revision of an app."""
        stored = await self._broker.newest(REVISIONS, revision_subject(app), RevisionRendered)
        return stored.value if stored else None
