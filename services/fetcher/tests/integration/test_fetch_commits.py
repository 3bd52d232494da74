"""Commits of real repositories become snapshots that a stranger can read."""

from __future__ import annotations

from knarr.local.git import Executable, Link
from knarr.messaging.streams import COMMITS, SNAPSHOTS
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness


async def test_a_commit_is_stored_with_all_its_files(fetcher: FetcherHarness) -> None:
    sha = fetcher.fleet.commit(
        {"fleet.yaml": FLEET, "shop/a.yaml": "a", "shop/run": Executable("#!"), "shop/link": Link("a.yaml")},
        message="first line\n\nmore",
    )
    fetcher.start()
    snapshot = await fetcher.commit(sha)
    assert await fetcher.files(snapshot) == fetcher.fleet.files(sha)
    assert snapshot.commit is not None
    assert (snapshot.commit.ref, snapshot.commit.subject) == ("refs/heads/main", "first line")
    assert snapshot.commit.url == fetcher.git.http_url("fleet")


async def test_what_follows_is_stored_as_deltas(fetcher: FetcherHarness) -> None:
    sha = fetcher.fleet.commit({"fleet.yaml": FLEET, "a/1": "one", "a/2": "two", "b": "file"})
    fetcher.start()
    before = await fetcher.commit(sha)
    for change in ({"a/1": "uno"}, {"a/2": None, "a/3": "two"}, {"b": None, "b/c": "folder"}, {"b/c": None, "b": "x"}):
        sha = fetcher.fleet.commit(change)
        after = await fetcher.commit(sha)
        assert await fetcher.files(after) == fetcher.fleet.files(sha)
        assert after.commit is not None
        assert before.commit is not None
        assert after.commit.number > before.commit.number
        before = after


async def test_one_file_of_ten_thousand_costs_that_file(fetcher: FetcherHarness) -> None:
    many = {f"apps/a{n // 100}/f{n % 100}.yaml": f"kind: ConfigMap\nnumber: {n}\n" for n in range(10_000)}
    first = await fetcher.committed({"fleet.yaml": FLEET, **many})
    assert first.file_count == 10_001
    stored = await fetcher.messages(SNAPSHOTS)
    second = await fetcher.committed({"apps/a7/f7.yaml": "kind: ConfigMap\nnumber: changed\n"})
    assert await fetcher.messages(SNAPSHOTS) == stored + 2  # one pack, one manifest
    assert second.published_files == 1
    assert second.published_bytes < 600
    assert second.published_bytes * 500 < first.published_bytes
    assert await fetcher.files(second) == fetcher.fleet.files(fetcher.fleet.head())


async def test_a_content_that_is_stored_is_not_stored_again(fetcher: FetcherHarness) -> None:
    await fetcher.committed({"fleet.yaml": FLEET, "a": "same"})
    moved = await fetcher.committed({"a": None, "b/c": "same"})
    assert moved.published_files == 0
    assert await fetcher.files(moved) == {"fleet.yaml": FLEET.encode(), "b/c": b"same"}


async def test_a_chain_of_deltas_begins_anew_in_time(fetcher: FetcherHarness) -> None:
    many = {f"f{n}": str(n) for n in range(500)}
    snapshot = await fetcher.committed({"fleet.yaml": FLEET, **many})
    lengths = set()
    for n in range(36):
        snapshot = await fetcher.committed({"f1": f"change {n}"})
        lengths.add(len(snapshot.manifests))
    assert max(lengths) == 33
    assert len(snapshot.manifests) < 33
    assert await fetcher.files(snapshot) == fetcher.fleet.files(fetcher.fleet.head())


async def test_large_files_travel_in_chunks(fetcher: FetcherHarness) -> None:
    noise = bytes((n * n * 31 + n // 7) % 256 for n in range(3_000_000))
    snapshot = await fetcher.committed({"fleet.yaml": FLEET, "big": noise, "small": "s"})
    assert (await fetcher.files(snapshot))["big"] == noise


async def test_a_file_above_the_limit_is_named_without_its_content(fetcher: FetcherHarness) -> None:
    fetcher.environment["KNARR_MAX_FILE_BYTES"] = "1000"
    snapshot = await fetcher.committed({"fleet.yaml": FLEET, "big": b"x" * 1001, "fits": b"x" * 1000})
    assert await fetcher.files(snapshot) == {"fleet.yaml": FLEET.encode(), "big": b"", "fits": b"x" * 1000}


async def test_a_force_push_is_a_new_commit_with_a_higher_number(fetcher: FetcherHarness) -> None:
    old = await fetcher.committed({"fleet.yaml": FLEET, "a": "1"})
    new = await fetcher.committed({"a": "2"})
    assert old.commit is not None
    assert new.commit is not None
    fetcher.fleet.branch("main", old.commit.sha)
    again = await fetcher.commit(old.commit.sha, above=new.commit.number)
    assert await fetcher.files(again) == fetcher.fleet.files(old.commit.sha)
    other = fetcher.fleet.commit({"fleet.yaml": FLEET, "unrelated": "history"}, branch="other")
    fetcher.fleet.branch("main", other)
    assert set(await fetcher.files(await fetcher.commit(other))) == {"fleet.yaml", "unrelated"}


async def test_a_folder_of_the_repository_can_be_the_fleet(fetcher: FetcherHarness) -> None:
    fetcher.environment["KNARR_FLEET_PATH"] = "fleets/one"
    snapshot = await fetcher.committed({"fleets/one/fleet.yaml": FLEET, "fleets/two/fleet.yaml": "other"})
    assert await fetcher.files(snapshot) == {"fleet.yaml": FLEET.encode()}
    stored = await fetcher.messages(SNAPSHOTS)
    elsewhere = await fetcher.committed({"README": "outside of it"})
    assert await fetcher.messages(SNAPSHOTS) == stored
    assert elsewhere.manifests == snapshot.manifests


async def test_nothing_is_published_while_nothing_changes(fetcher: FetcherHarness) -> None:
    await fetcher.committed({"fleet.yaml": FLEET})
    commits = await fetcher.messages(COMMITS)
    fetcher.git.http.requests.clear()
    await fetcher.until(fetcher.polled, "polls")
    assert await fetcher.messages(COMMITS) == commits
    assert all("/info/refs" in request for request in fetcher.git.http.requests)
