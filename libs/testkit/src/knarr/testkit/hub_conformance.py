"""What every `Hub` of the agent must do: subclass `HubConformance` and give it the fixtures `hub` and `far_side`.

Runs on the hub in memory (knarr.testkit.agent_hub) and on the real one over NATS, so that a test with the former means
something.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Protocol

import pytest

from knarr.agent.ports import Hint, Hub
from knarr.bundle.sealing import Sealed
from knarr.pipeline.errors import Retryable
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.testkit.agent_hub import assigned, bundle_of

SECONDS = 10.0


class FarSide(Protocol):
    """The hub's own part."""

    async def store(self, data: bytes) -> int:
        """Stores an assignment; its sequence."""
        ...

    async def put(self, sealed: Sealed) -> None:
        """Stores a bundle."""
        ...

    async def app(self, name: str) -> AppReport | None:
        """The newest report of an app."""
        ...


async def hinted(hub: Hub, at_least: int) -> Hint:
    """The first hint that names this sequence or a newer one."""
    async with asyncio.timeout(SECONDS):
        while (hint := await hub.next_hint()).sequence < at_least:
            pass
        return hint


class HubConformance:
    """The suite."""

    async def test_nothing_assigned_is_said_to_be_nothing(self, hub: Hub) -> None:
        assert await hub.newest_assignment() is None

    async def test_an_assignment_is_hinted_at_and_read(self, hub: Hub, far_side: FarSide) -> None:
        sequence = await far_side.store(b"first")
        await hinted(hub, sequence)
        found = await hub.newest_assignment()
        assert found is not None
        assert (found.data, found.sequence) == (b"first", sequence)

    async def test_of_several_the_newest_counts(self, hub: Hub, far_side: FarSide) -> None:
        await far_side.store(b"first")
        sequence = await far_side.store(b"second")
        await hinted(hub, sequence)
        found = await hub.newest_assignment()
        assert found is not None
        assert (found.data, found.sequence) == (b"second", sequence)

    async def test_a_bundle_comes_as_it_was_put(self, hub: Hub, far_side: FarSide) -> None:
        app, sealed = assigned(bundle_of("shop"))
        await far_side.put(sealed)
        assert await hub.blob(app) == sealed.data

    async def test_a_bundle_that_is_not_there_is_asked_for_later(self, hub: Hub) -> None:
        app, _ = assigned(bundle_of("shop"))
        with pytest.raises(Retryable) as missing:
            await hub.blob(app)
        assert missing.value.code == "KNR7013"

    async def test_of_an_app_the_newest_report_is_kept_and_sequences_grow(self, hub: Hub, far_side: FarSide) -> None:
        report = AppReport(cluster="c1", app="shop", state=AppState.PROGRESSING)
        first = await hub.report(report)
        second = await hub.report(replace(report, state=AppState.HEALTHY))
        third = await hub.report(ClusterReport(cluster="c1"))
        assert first < second < third
        found = await far_side.app("shop")
        assert found is not None
        assert found.state is AppState.HEALTHY
