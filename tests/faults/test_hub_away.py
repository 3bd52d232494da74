"""The hub is gone: agents heal on, also across their own restart; when it is back, it hears what happened (I10)."""

from __future__ import annotations

import pytest

from tests.faults.trouble import Trouble
from tests.house import app_files, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_agents_heal_without_a_hub_and_report_when_it_is_back(trouble: Trouble) -> None:
    house = trouble.house
    await house.pushed(app_files("alone", {"a": "from Git"}))
    await house.at_rest()
    starts = {c: (await house.ask(f"clusters/{c}"))["agent_start_number"] for c in house.plan.clusters}
    hub = house.session.hub
    async with trouble.unwatched("fetcher", "renderer", "rollout", "status"):
        for part in hub.parts:
            await part.process.kill()
        await hub.nats.stop()
        await hub.postgres.stop()

        house.edit("dev", "alone", "a", "by hand")
        await _healed_after_edit(trouble, "dev")
        await trouble.kill("agents-simulated")
        house.edit("prod-1", "alone", "a", "by another hand")
        await _healed_after_edit(trouble, "prod-1")

        await hub.postgres.start()
        await hub.nats.start()
        for part in hub.parts:
            await part.start()

    async def heard() -> bool:
        rows = [await house.ask(f"clusters/{c}") for c in house.plan.clusters]
        return all(row["agent_start_number"] > starts[row["name"]] for row in rows)

    await until("the restarted agents being heard", heard, 60.0)
    await house.at_rest(60.0)
    placement = await house.placement("prod-1", "alone")
    assert placement is not None
    assert placement["standing"] == "healthy"
    assert placement["drift"]
    await house.pushed(app_files("alone", {"a": "from Git again"}), seconds=60.0)


async def _healed_after_edit(trouble: Trouble, cluster: str) -> None:
    """The hand was carried out (the version moved twice) and the value is Git's again."""
    house = trouble.house
    before = int(house.versions(cluster, "alone")["a"])

    async def look() -> bool:
        return int(house.versions(cluster, "alone")["a"]) > before and house.value(cluster, "alone", "a") == "from Git"

    await until(f"the edit in {cluster} being healed", look)
