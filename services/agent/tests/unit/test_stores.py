"""The stores that need no server pass the suite that the real one passes (integration/test_secret_store.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from knarr.agent.adapters.simulated.store import FolderStore
from knarr.agent.ports import Store
from knarr.testkit.agent_store import MemoryStore, StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    async def again(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return MemoryStore(store.values)


class TestFolderStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[FolderStore]:
        self.folder = tmp_path
        with closing(FolderStore(tmp_path)) as store:
            self.opened = [store]
            yield store
            for other in self.opened:
                other.close()

    async def again(self, store: Store) -> Store:
        assert isinstance(store, FolderStore)
        store.close()
        self.opened.append(FolderStore(self.folder))
        return self.opened[-1]
