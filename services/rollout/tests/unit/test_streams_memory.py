"""The fake streams keep what NATS promises."""

from __future__ import annotations

import pytest

from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.revision import RevisionRendered
from knarr.testkit.rollout_streams import (
    Heard,
    MemoryOutbox,
    MemoryRevisions,
    OutboxConformance,
    Render,
    RevisionsConformance,
)


class TestMemoryOutbox(OutboxConformance):
    @pytest.fixture
    def outbox(self) -> MemoryOutbox:
        return MemoryOutbox()

    @pytest.fixture
    def heard(self, outbox: MemoryOutbox) -> Heard:
        async def everything() -> tuple[list[RolloutDecided], list[CommandHandled]]:
            return outbox.decisions, outbox.answers

        return everything


class TestMemoryRevisions(RevisionsConformance):
    @pytest.fixture
    def revisions(self) -> MemoryRevisions:
        return MemoryRevisions()

    @pytest.fixture
    def render(self, revisions: MemoryRevisions) -> Render:
        async def store(revision: RevisionRendered) -> None:
            revisions.by_app[revision.app] = revision

        return store
