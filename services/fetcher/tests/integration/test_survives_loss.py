"""Killed, restarted, robbed of its state or of its streams: the fetcher publishes again what is missing (I7)."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import replace

import pytest

from knarr.messaging.streams import COMMITS, SNAPSHOTS, SOURCES
from knarr.messaging.subjects import commit_subject
from knarr.pipeline.snapshot import SnapshotStored
from services.fetcher.tests.fetcher_harness import FLEET, KEY, FetcherHarness


async def test_a_restart_publishes_nothing(fetcher: FetcherHarness) -> None:
    last = await fetcher.committed({"fleet.yaml": FLEET, "a": "1"})
    await fetcher.report("")
    before = [await fetcher.messages(stream) for stream in (COMMITS, SNAPSHOTS, SOURCES)]
    await fetcher.stop()
    fetcher.git.http.requests.clear()
    fetcher.start()
    await fetcher.until(fetcher.polled, "polls after the restart")
    assert [await fetcher.messages(stream) for stream in (COMMITS, SNAPSHOTS, SOURCES)] == before
    assert await fetcher.newest() == last


async def test_a_restart_without_its_state_publishes_nothing_and_goes_on_above(fetcher: FetcherHarness) -> None:
    last = await fetcher.committed({"fleet.yaml": FLEET, "a": "1", "b": "2"})
    stored = await fetcher.messages(SNAPSHOTS)
    await fetcher.stop()
    shutil.rmtree(fetcher.state)
    fetcher.git.http.requests.clear()
    fetcher.start()
    await fetcher.until(fetcher.polled, "polls after the restart")
    assert await fetcher.newest() == last
    assert await fetcher.messages(SNAPSHOTS) == stored
    after = await fetcher.committed({"a": "3"})
    assert after.commit is not None
    assert last.commit is not None
    assert after.commit.number > last.commit.number
    assert after.published_files == 1  # what lies in old packs is found again in the manifests


async def test_a_number_never_falls_behind_what_was_published(fetcher: FetcherHarness) -> None:
    last = await fetcher.committed({"fleet.yaml": FLEET})
    await fetcher.stop()
    assert last.commit is not None
    ahead = last.commit.number + 10**12
    far = replace(last, commit=replace(last.commit, number=ahead))
    await fetcher.broker.publish(commit_subject("fleet"), far)
    fetcher.start()
    after = await fetcher.committed({"a": "1"})
    assert after.commit is not None
    assert after.commit.number == ahead + 1


@pytest.mark.parametrize("stream", [COMMITS, SNAPSHOTS])
@pytest.mark.parametrize("running", [True, False])
async def test_a_stream_made_anew_is_filled_again(fetcher: FetcherHarness, stream: str, running: bool) -> None:
    await fetcher.committed({"fleet.yaml": FLEET, "a": "1", "b/c": "2"})
    last = await fetcher.committed({"a": "3"})
    if not running:
        await fetcher.stop()
    await fetcher.remake(stream)
    if not running:
        fetcher.start()

    async def whole() -> SnapshotStored | None:
        found = await fetcher.newest()
        return found if found and await fetcher.is_readable(found) else None

    again = await fetcher.until(whole, "the snapshot is whole again")
    assert again.commit == last.commit  # the same commit, not a new one
    assert await fetcher.files(again) == fetcher.fleet.files(fetcher.fleet.head())
    after = await fetcher.committed({"a": "4"})
    assert await fetcher.files(after) == fetcher.fleet.files(fetcher.fleet.head())


async def test_sources_made_anew_are_told_again(fetcher: FetcherHarness) -> None:
    await fetcher.committed({"fleet.yaml": FLEET})
    await fetcher.report("")
    await fetcher.remake(SOURCES)
    assert (await fetcher.report("")).reachable


async def test_a_pack_that_is_lost_is_stored_again(fetcher: FetcherHarness) -> None:
    fetcher.environment["KNARR_AUDIT_SECONDS"] = "0.3"
    last = await fetcher.committed({"fleet.yaml": FLEET, "a": "1"})
    for address in last.manifests:
        await fetcher.broker.jetstream().purge_stream(SNAPSHOTS, subject=f"snapshot.{address.address.hex()}")

    async def whole() -> SnapshotStored | None:
        found = await fetcher.newest()
        return found if found and await fetcher.is_readable(found) else None

    assert (await fetcher.until(whole, "the snapshot is whole again")).commit == last.commit


async def test_another_key_seals_everything_again(fetcher: FetcherHarness) -> None:
    last = await fetcher.committed({"fleet.yaml": FLEET, "a": "1"})
    await fetcher.stop()
    fetcher.change_key(bytes(reversed(KEY)))
    fetcher.start()

    async def whole() -> SnapshotStored | None:
        found = await fetcher.newest()
        return found if found and await fetcher.is_readable(found) else None

    again = await fetcher.until(whole, "sealed with the new key")
    assert again.commit == last.commit
    assert again.manifests[0].key_id != last.manifests[0].key_id


async def test_a_damaged_state_folder_is_made_anew(fetcher: FetcherHarness) -> None:
    last = await fetcher.committed({"fleet.yaml": FLEET})
    await fetcher.stop()
    (fetcher.state / "fetcher.sqlite").write_bytes(b"this is no database" * 1000)
    for pack in (fetcher.state / "mirrors").glob("*/objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"PACK" + b"\0" * 60)
    fetcher.start()
    after = await fetcher.committed({"a": "1"})
    assert after.commit is not None
    assert last.commit is not None
    assert after.commit.number > last.commit.number
    assert await fetcher.files(after) == {"fleet.yaml": FLEET.encode(), "a": b"1"}


async def test_two_fetchers_publish_each_commit_once(fetcher: FetcherHarness) -> None:
    await fetcher.committed({"fleet.yaml": FLEET})
    fetcher.start_second()
    numbers = []
    for n in range(5):
        snapshot = await fetcher.committed({"a": str(n)})
        assert snapshot.commit is not None
        numbers.append(snapshot.commit.number)
    assert numbers == sorted(numbers)
    settled = await fetcher.newest()
    fetcher.git.http.requests.clear()
    await fetcher.until(fetcher.polled, "polls of both")
    assert await fetcher.newest() == settled
    assert settled is not None
    assert await fetcher.files(settled) == {"fleet.yaml": FLEET.encode(), "a": b"4"}


async def test_the_broker_is_gone_for_a_while(fetcher: FetcherHarness) -> None:
    await fetcher.committed({"fleet.yaml": FLEET})
    await fetcher.nats.kill()
    sha = fetcher.fleet.commit({"a": "while nobody listens"})
    await fetcher.nats.start()
    await fetcher.broker.wait_connected(20)
    await fetcher.commit(sha)


async def test_killed_at_any_instant(fetcher: FetcherHarness) -> None:
    """As a real process, killed while commits flow: the newest one arrives, whole, with a number above the others."""
    environment = {**os.environ, **fetcher.environment}
    fetcher.fleet.commit({"fleet.yaml": FLEET, **{f"f{n}": str(n) for n in range(300)}})
    for delay in (0.6, 0.8, 1.0, 1.2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "knarr.fetcher", env=environment, stderr=asyncio.subprocess.DEVNULL
        )
        await asyncio.sleep(delay)  # the instant is the subject of this test
        fetcher.fleet.commit({"a": str(delay)})
        await asyncio.sleep(0.15)
        process.kill()
        await process.wait()
    fetcher.start()
    last = await fetcher.commit(fetcher.fleet.head())
    assert await fetcher.files(last) == fetcher.fleet.files(fetcher.fleet.head())
