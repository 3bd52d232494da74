"""kill -9 of each process in turn while commits flow: all comes to the newest commit, nothing is lost or deleted."""

from __future__ import annotations

import pytest

from tests.faults.trouble import Trouble

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("victim", ["fetcher", "renderer", "rollout", "status", "agents-simulated"])
async def test_a_killed_process_loses_nothing(trouble: Trouble, victim: str) -> None:
    async with trouble.commits_flow(f"killed-{victim}") as flow:
        await trouble.kill(victim)
        await flow.goes_on(3)
        await trouble.kill(victim)


async def test_all_services_killed_at_once_lose_nothing(trouble: Trouble) -> None:
    async with trouble.commits_flow("killed-all"):
        for name in ("status", "rollout", "renderer", "fetcher"):
            await trouble.kill(name)


async def test_a_killed_broker_loses_nothing(trouble: Trouble) -> None:
    nats = trouble.house.session.hub.nats
    async with trouble.commits_flow("killed-broker") as flow:
        await nats.kill()
        await flow.goes_on(3)
        await nats.start()


async def test_a_killed_database_loses_nothing(trouble: Trouble) -> None:
    postgres = trouble.house.session.hub.postgres
    async with trouble.commits_flow("killed-database") as flow:
        await postgres.kill()
        await flow.goes_on(3)
        await postgres.start()
