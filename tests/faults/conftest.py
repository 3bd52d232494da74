"""A house whose processes are watched, as `knarr up` watches them, with a held revision that must stay held."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.trouble import HELD, Trouble
from tests.house import Plan, app_files, fleet_files, house


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def trouble(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trouble]:
    """One for the lane: each test has apps of its own, and leaves the house healthy."""
    files = {**fleet_files(), **app_files(HELD, {"a": "kept", "b": "kept"})}
    plan = Plan(files=files, heartbeat_seconds=1.0)
    async with house(tmp_path_factory.mktemp("trouble"), plan) as made, asyncio.TaskGroup() as tasks:
        found = Trouble(house=made, tasks=tasks)
        found.watch(*(part.name for part in made.session.parts))
        try:
            await made.everywhere(HELD, "a", "kept")
            sha = await made.push({f"apps/{HELD}/a.yaml": None, f"apps/{HELD}/b.yaml": None})
            await made.commit_in(sha, ("held",))
            yield found
        finally:
            found.unwatch(*found.watching)
