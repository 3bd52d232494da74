"""Each stream deleted and made again, empty: what it held comes back by itself, and the next commits converge."""

from __future__ import annotations

import shutil

import pytest

from knarr.messaging.subjects import chunk_subjects
from knarr.pipeline.revision import RevisionRendered
from tests.faults.trouble import Trouble
from tests.house import House, app_files, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
_STATE = ("COMMITS", "SOURCES", "FACTS", "REVISIONS", "ASSIGNMENTS", "REPORTS")
_CONTENT = ("SNAPSHOTS", "BLOBS")
_LOGS = ("DECISIONS", "EVENTS", "COMMANDS", "DEAD_LETTERS")


def _app(stream: str) -> str:
    return stream.lower().replace("_", "-")


@pytest.mark.parametrize("stream", _STATE)
async def test_what_a_stream_held_is_published_again(trouble: Trouble, stream: str) -> None:
    house, app = trouble.house, f"again-{_app(stream)}"
    await house.pushed(app_files(app, {"a": "one"}))
    await house.at_rest()
    before = await _lasting(house, stream)
    objects = {c: house.uids(c) for c in house.plan.clusters}
    await trouble.make_anew(stream)

    async def look() -> bool:
        missing[:] = sorted(before - await _lasting(house, stream))
        return not missing

    missing: list[str] = []
    await until(f"{stream} holding all again", look, 30.0, lambda: missing)
    await house.at_rest()
    assert {c: house.uids(c) for c in house.plan.clusters} == objects


async def test_the_bundles_of_every_newest_revision_are_stored_again(trouble: Trouble) -> None:
    house = trouble.house
    await house.pushed(app_files("again-blobs", {"a": "one"}))
    await trouble.make_anew("BLOBS")

    async def look() -> bool:
        missing[:] = sorted(await _named_blobs(house) - await house.subjects("BLOBS"))
        return not missing

    missing: list[str] = []
    await until("the bundles of all revisions", look, 30.0, lambda: missing)


async def test_a_renderer_without_memory_finds_the_newest_snapshot_in_a_stream_made_anew(trouble: Trouble) -> None:
    house = trouble.house
    await house.pushed(app_files("again-snapshots", {"a": "one"}))
    await trouble.make_anew("SNAPSHOTS")

    async def stored() -> bool:
        return bool(await house.subjects("SNAPSHOTS"))

    await until("the snapshot being stored again", stored)
    shutil.rmtree(house.session.place.part("renderer"))
    await trouble.kill("renderer")
    await house.pushed(app_files("again-snapshots", {"a": "two"}))
    await house.everywhere("again-snapshots", "a", "two")


@pytest.mark.parametrize("stream", [*_STATE, *_CONTENT, *_LOGS])
async def test_commits_flow_on(trouble: Trouble, stream: str) -> None:
    async with trouble.commits_flow(f"anew-{_app(stream)}"):
        await trouble.make_anew(stream)


async def _lasting(house: House, stream: str) -> frozenset[str]:
    """The subjects of what a stream holds, but for what a newer message of another kind has made obsolete."""
    return frozenset(s for s in await house.subjects(stream) if not s.endswith((".observed", ".failed")))


async def _named_blobs(house: House) -> frozenset[str]:
    """Where the bundles lie that the newest revision of every app names."""
    named: set[str] = set()
    for subject in await house.subjects("REVISIONS"):
        if not subject.startswith("revision.") or subject.endswith(".failed"):
            continue
        stored = await house.broker.newest("REVISIONS", subject, RevisionRendered)
        for variant in stored.value.variants if stored else ():
            if variant.bundle is not None:
                named.update(chunk_subjects("blob", variant.bundle.address, variant.bundle.chunk_count))
    return frozenset(named)
