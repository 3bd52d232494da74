"""The hub in memory does what the real one over NATS does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from knarr.agent.adapters.nats import NatsHub
from knarr.bundle.sealing import Sealed
from knarr.messaging.blobs import put_sealed
from knarr.messaging.broker import Broker
from knarr.messaging.streams import REPORTS
from knarr.messaging.subjects import assignment_subject, report_app_subject
from knarr.pipeline.report import AppReport
from knarr.testkit.agent_hub import MemoryHub
from knarr.testkit.hub_conformance import HubConformance
from knarr.testkit.installation import Installation, admin, installation

__all__ = ["admin", "installation"]


class OverNats:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def store(self, data: bytes) -> int:
        return await self._broker.publish_bytes(assignment_subject("c1"), data)

    async def put(self, sealed: Sealed) -> None:
        await put_sealed(self._broker, "blob", sealed.address, sealed.chunks)

    async def app(self, name: str) -> AppReport | None:
        found = await self._broker.newest(REPORTS, report_app_subject("c1", name), AppReport)
        return found.value if found is not None else None


class InMemory:
    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub

    async def store(self, data: bytes) -> int:
        self._hub.store(data)
        return self._hub.sequence

    async def put(self, sealed: Sealed) -> None:
        self._hub.blobs[sealed.address] = sealed.data

    async def app(self, name: str) -> AppReport | None:
        return self._hub.app(name)


class TestNatsHub(HubConformance):
    @pytest.fixture
    async def hub(self, installation: Installation) -> AsyncIterator[NatsHub]:
        async with Broker(installation.settings("c1")) as broker:
            await broker.wait_connected(10)
            hub = NatsHub(broker, "c1")
            await hub.start()
            yield hub

    @pytest.fixture
    def far_side(self, admin: Broker) -> OverNats:
        return OverNats(admin)


class TestMemoryHub(HubConformance):
    @pytest.fixture
    def hub(self) -> MemoryHub:
        return MemoryHub("c1")

    @pytest.fixture
    def far_side(self, hub: MemoryHub) -> InMemory:
        return InMemory(hub)
