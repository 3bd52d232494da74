"""Each stream deleted and made again, empty: what it held comes back by itself, and the next commits converge."""

from __future__ import annotations

import pytest

from tests.faults.trouble import Trouble
from tests.house import app_files, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
_STATE = ("COMMITS", "SOURCES", "SNAPSHOTS", "FACTS", "REVISIONS", "BLOBS", "ASSIGNMENTS", "REPORTS")
_LOGS = ("DECISIONS", "EVENTS", "COMMANDS", "DEAD_LETTERS")


@pytest.mark.parametrize("stream", _STATE)
async def test_what_a_stream_held_is_published_again(trouble: Trouble, stream: str) -> None:
    house = trouble.house
    await house.push(app_files(f"again-{stream.lower().replace('_', '-')}", {"a": "one"}))
    await house.at_rest()
    before = await _lasting(trouble, stream)
    objects = {c: house.uids(c) for c in house.plan.clusters}
    await trouble.make_anew(stream)

    async def back() -> bool:
        return before <= await _lasting(trouble, stream)

    async def missing() -> frozenset[str]:
        return before - await _lasting(trouble, stream)

    gone: list[object] = []

    async def look() -> bool:
        gone[:] = sorted(await missing())
        return await back()

    await until(f"{stream} holding all again", look, 30.0, lambda: gone)
    await house.at_rest()
    assert {c: house.uids(c) for c in house.plan.clusters} == objects


@pytest.mark.parametrize("stream", [*_STATE, *_LOGS])
async def test_commits_flow_on(trouble: Trouble, stream: str) -> None:
    async with trouble.commits_flow(f"anew-{stream.lower().replace('_', '-')}"):
        await trouble.make_anew(stream)


async def _lasting(trouble: Trouble, stream: str) -> frozenset[str]:
    """The subjects of what a stream holds, but for what newer messages have made obsolete."""
    subjects = await trouble.house.subjects(stream)
    if stream == "SNAPSHOTS" or stream == "BLOBS":
        return subjects
    return frozenset(s for s in subjects if not s.endswith((".observed", ".failed")))
