"""The fake store keeps what the real one promises."""

from __future__ import annotations

import pytest

from knarr.testkit.rollout_store import Depose, MemoryStore, StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def depose(self, store: MemoryStore) -> Depose:
        async def begin() -> None:
            store.successor()

        return begin
