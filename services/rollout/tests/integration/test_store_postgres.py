"""The real store keeps the same promises as the fake, and only one process leads."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from knarr.pipeline.errors import Retryable
from knarr.rollout.adapters.postgres.statements import NEW_TERM
from knarr.rollout.adapters.postgres.store import PostgresStore, leading_store
from knarr.testkit.fleet_story import digest_for, restarted, start_story
from knarr.testkit.rollout_store import Depose, StoreConformance


class TestPostgresStore(StoreConformance):
    @pytest.fixture
    async def store(self, database: str) -> AsyncIterator[PostgresStore]:
        async with leading_store(database) as store:
            yield store

    @pytest.fixture
    def depose(self, database: str) -> Depose:
        async def begin() -> None:
            """As a process does whose server gave it the lead while the other still believes to have it."""
            connection = await asyncpg.connect(database, server_settings={"search_path": "rollout"})
            try:
                await connection.execute(NEW_TERM)
            finally:
                await connection.close()

        return begin


async def test_a_second_process_waits_for_the_lead(database: str) -> None:
    async with leading_store(database):
        with pytest.raises(Retryable, match="KNR3040"):
            async with leading_store(database, lead_wait_seconds=0.2):
                pass
    async with leading_store(database, lead_wait_seconds=5):
        pass


async def test_no_database_is_a_numbered_error() -> None:
    with pytest.raises(Retryable, match="KNR3041"):
        async with leading_store("postgresql://nobody@127.0.0.1:1/none"):
            pass


async def test_a_restart_on_the_same_database_goes_on(database: str) -> None:
    async with leading_store(database) as store:
        story = await start_story(store, ("c1", "c2"))
        await story.commit(shop=(("c1", "c2"), tuple(f"o{n}" for n in range(15))))
    async with leading_store(database) as store:
        story.store = store
        again = await restarted(story)
        decision = await again.commit(shop=(("c1", "c2"), ("o0",)))
        assert [a.verdict.value for a in decision.apps] == ["held"]
        await again.commit(shop=(("c1", "c2"), tuple(f"o{n}" for n in range(16))))
        assert again.assignment("c1")[0].generation == 2
        assert again.digest("c1", "shop") == digest_for("shop", tuple(f"o{n}" for n in range(16)))


async def test_a_leader_that_is_replaced_says_so(database: str) -> None:
    async with leading_store(database) as store:
        connection = await asyncpg.connect(database, server_settings={"search_path": "rollout"})
        await connection.execute(NEW_TERM)
        await connection.close()
        with pytest.raises(Retryable, match="KNR3042"):
            await store.check_lead()
        with pytest.raises(Retryable, match="KNR3041"):
            await store.lost()
