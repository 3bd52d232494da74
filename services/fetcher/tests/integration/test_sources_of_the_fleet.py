"""fleet.yaml lists who is followed: added, changed, removed, and wrong lists that change nothing."""

from __future__ import annotations

import shutil

from knarr.local.git import GitRepository
from knarr.messaging.streams import COMMITS
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness


def _shop(fetcher: FetcherHarness) -> tuple[GitRepository, dict[str, object]]:
    return fetcher.git.create("shop"), {"name": "shop", "url": fetcher.git.http_url("shop")}


async def test_a_source_is_followed_from_the_commit_that_lists_it(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    shop.commit({"app/a.yaml": "1"})
    await fetcher.committed({"fleet.yaml": FLEET})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
    await fetcher.commit(shop.head(), "shop")
    sha = shop.commit({"app/a.yaml": "2"})
    assert await fetcher.files(await fetcher.commit(sha, "shop")) == {"app/a.yaml": b"2"}


async def test_a_source_that_is_removed_is_detached_and_can_return(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    shop.commit({"app/a.yaml": "1"})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
    last = await fetcher.commit(shop.head(), "shop")
    await fetcher.committed({"fleet.yaml": FLEET})
    report = await fetcher.report("KNR1024", "shop")
    assert (report.reachable, report.commit) == (False, last.commit)
    assert await fetcher.newest("shop") == last
    shop.commit({"app/a.yaml": "2"})
    await fetcher.committed({"unrelated": "1"})
    assert await fetcher.newest("shop") == last
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
    await fetcher.commit(shop.head(), "shop")
    assert (await fetcher.report("", "shop")).reachable


async def test_a_list_that_cannot_be_read_keeps_all_that_are_followed(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    shop.commit({"app/a.yaml": "1"})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
    await fetcher.commit(shop.head(), "shop")
    for content, code in (("a: [", "KNR1020"), (None, "KNR1020"), (fetcher.fleet_file([{"name": "shop"}]), "KNR1021")):
        await fetcher.committed({"fleet.yaml": content})
        report = await fetcher.report(code)
        assert report.reachable
        sha = shop.commit({"app/a.yaml": f"while the list is {code} {content!r:.9}"})
        await fetcher.commit(sha, "shop")


async def test_sources_are_followed_on_while_the_fleet_is_unreachable_after_a_restart(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    shop.commit({"app/a.yaml": "1"})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
    await fetcher.commit(shop.head(), "shop")
    await fetcher.stop()
    shutil.move(fetcher.fleet.path, fetcher.folder / "away")
    fetcher.start()
    await fetcher.report("KNR1006")
    sha = shop.commit({"app/a.yaml": "2"})
    await fetcher.commit(sha, "shop")


async def test_a_source_removed_while_the_fetcher_was_down_is_detached(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    shop.commit({"app/a.yaml": "1"})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
    await fetcher.commit(shop.head(), "shop")
    await fetcher.stop()
    fetcher.fleet.commit({"fleet.yaml": FLEET})
    fetcher.start()
    await fetcher.report("KNR1024", "shop")


async def test_tags_ranges_and_pins(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    first = shop.commit({"v": "1.0"})
    shop.tag("v1.0.0", first, message="release")
    second = shop.commit({"v": "1.1"})
    shop.tag("v1.1.0", second)
    shop.branch("stable", first)
    head = shop.commit({"v": "next"})
    refs = {
        "head": None,
        "branch": {"branch": "stable"},
        "tag": {"tag": "v1.0.0"},
        "range": {"semver": ">=1.0.0 <2"},
        "pin": {"commit": second},
    }
    entries = [{**entry, "name": name, **({"ref": ref} if ref else {})} for name, ref in refs.items()]
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file(entries)})
    for name, sha in (("head", head), ("branch", first), ("tag", first), ("range", second), ("pin", second)):
        await fetcher.commit(sha, name)
    shop.tag("v1.10.0", head, message="release")
    await fetcher.commit(head, "range")
    found = await fetcher.newest("pin")
    assert found is not None
    assert found.commit is not None
    assert found.commit.sha == second


async def test_a_pinned_commit_that_nobody_has(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    shop.commit({"a": "1"})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([{**entry, "ref": {"commit": "a" * 40}}])})
    await fetcher.report("KNR1010", "shop")


async def test_only_commits_that_change_a_path_count(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    first = shop.commit({"apps/a.yaml": "1", "docs/x.md": "1"})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([{**entry, "paths": ["apps"]}])})
    await fetcher.commit(first, "shop")
    commits = await fetcher.messages(COMMITS)
    shop.commit({"docs/x.md": "2"})
    fetcher.git.http.requests.clear()
    await fetcher.until(lambda: fetcher.polled("shop"), "polls of shop")
    assert await fetcher.messages(COMMITS) == commits
    third = shop.commit({"apps/a.yaml": "2"})
    snapshot = await fetcher.commit(third, "shop")
    assert await fetcher.files(snapshot) == {"apps/a.yaml": b"2", "docs/x.md": b"2"}


async def test_a_source_that_moves_to_another_address_keeps_its_name(fetcher: FetcherHarness) -> None:
    shop, entry = _shop(fetcher)
    shop.commit({"a": "1"})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
    before = await fetcher.commit(shop.head(), "shop")
    moved = fetcher.git.create("moved")
    sha = moved.commit({"a": "other"})
    await fetcher.committed({"fleet.yaml": fetcher.fleet_file([{**entry, "url": fetcher.git.http_url("moved")}])})
    after = await fetcher.commit(sha, "shop")
    assert before.commit is not None
    assert after.commit is not None
    assert after.commit.number > before.commit.number
    assert await fetcher.files(after) == {"a": b"other"}
