"""NATS keeps the promises of rollout's ports on streams."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from knarr.local.nats import NatsServer
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.consume import newest_of_all
from knarr.messaging.streams import DECISIONS, ensure_streams
from knarr.messaging.subjects import revision_subject
from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.revision import RevisionRendered
from knarr.rollout.adapters.nats import NatsOutbox, NatsRevisions
from knarr.testkit.rollout_streams import Heard, OutboxConformance, Render, RevisionsConformance


@pytest.fixture
async def broker(nats_server: NatsServer) -> AsyncIterator[Broker]:
    async with Broker(BrokerSettings(urls=(nats_server.url,), name="rollout")) as broker:
        await broker.wait_connected(10)
        await ensure_streams(broker.jetstream())
        yield broker


class TestNatsOutbox(OutboxConformance):
    @pytest.fixture
    def outbox(self, broker: Broker) -> NatsOutbox:
        return NatsOutbox(broker)

    @pytest.fixture
    def heard(self, broker: Broker) -> Heard:
        async def everything() -> tuple[list[RolloutDecided], list[CommandHandled]]:
            info = await broker.jetstream().stream_info(DECISIONS)
            assert info.state.messages == 3, "a decision that is sent twice is stored once"
            decisions = await newest_of_all(broker, DECISIONS, "decision.*", RolloutDecided)
            answers = await newest_of_all(broker, DECISIONS, "handled.*", CommandHandled)
            return [m.value for m in decisions], [m.value for m in answers]

        return everything


class TestNatsRevisions(RevisionsConformance):
    @pytest.fixture
    def revisions(self, broker: Broker) -> NatsRevisions:
        return NatsRevisions(broker)

    @pytest.fixture
    def render(self, broker: Broker) -> Render:
        async def store(revision: RevisionRendered) -> None:
            await broker.publish(revision_subject(revision.app), revision)

        return store
