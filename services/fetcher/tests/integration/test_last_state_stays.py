"""What goes wrong at the Git host is said with a number; the last commit stays, and what mends it goes on (I1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from knarr.fetcher.core.fleet_file import FLEET_FILE
from knarr.messaging.streams import COMMITS
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness

Act = Callable[[FetcherHarness], Awaitable[None]]


async def _delete_branch(fetcher: FetcherHarness) -> None:
    fetcher.fleet.branch("other", fetcher.fleet.head())
    fetcher.fleet.delete_branch("main")


async def _bring_branch_back(fetcher: FetcherHarness) -> None:
    fetcher.fleet.branch("main", fetcher.fleet.head("other"))


async def _become_empty(fetcher: FetcherHarness) -> None:
    fetcher.fleet.delete_branch("main")


async def _stop_host(fetcher: FetcherHarness) -> None:
    await fetcher.git.stop()


async def _start_host(fetcher: FetcherHarness) -> None:
    await fetcher.git.start()


def _answer(status: int | None) -> Act:
    async def act(fetcher: FetcherHarness) -> None:
        fetcher.git.http.refuse_with = status

    return act


async def _want_token(fetcher: FetcherHarness) -> None:
    fetcher.git.http.token = "secret"


async def _want_no_token(fetcher: FetcherHarness) -> None:
    fetcher.git.http.token = None


async def _rename_away(fetcher: FetcherHarness) -> None:
    fetcher.fleet.path.rename(fetcher.folder / "away")


async def _rename_back(fetcher: FetcherHarness) -> None:
    (fetcher.folder / "away").rename(fetcher.fleet.path)


async def _nothing(fetcher: FetcherHarness) -> None:
    return None


@pytest.mark.parametrize(
    ("break_it", "code", "mend_it", "retryable"),
    [
        pytest.param(_delete_branch, "KNR1003", _bring_branch_back, False, id="branch deleted"),
        pytest.param(_become_empty, "KNR1002", _nothing, False, id="repository emptied"),
        pytest.param(_stop_host, "KNR1001", _start_host, True, id="host unreachable"),
        pytest.param(_answer(503), "KNR1001", _answer(None), True, id="host overloaded"),
        pytest.param(_answer(500), "KNR1001", _answer(None), True, id="host broken"),
        pytest.param(_want_token, "KNR1004", _want_no_token, False, id="login wanted"),
        pytest.param(_answer(403), "KNR1004", _answer(None), False, id="forbidden"),
        pytest.param(_rename_away, "KNR1006", _rename_back, False, id="repository gone"),
    ],
)
async def test_host_trouble(fetcher: FetcherHarness, break_it: Act, code: str, mend_it: Act, retryable: bool) -> None:
    last = await fetcher.committed({"fleet.yaml": FLEET})
    commits = await fetcher.messages(COMMITS)
    await break_it(fetcher)
    report = await fetcher.report(code)
    assert report.failure is not None
    assert (report.reachable, report.failure.retryable) == (False, retryable)
    assert report.failure.next_step
    assert report.commit == last.commit
    assert await fetcher.newest() == last
    assert await fetcher.messages(COMMITS) == commits
    await mend_it(fetcher)
    if code == "KNR1002":
        fetcher.fleet.commit({"fleet.yaml": FLEET})
    mended = await fetcher.report("")
    assert mended.reachable
    next_one = await fetcher.committed({"more": "files"})
    assert await fetcher.files(next_one) == {"fleet.yaml": FLEET.encode(), "more": b"files"}


async def test_a_repository_that_is_empty_from_the_start(fetcher: FetcherHarness) -> None:
    fetcher.start()
    report = await fetcher.report("KNR1002")
    assert report.commit is None
    assert await fetcher.newest() is None
    await fetcher.committed({"fleet.yaml": FLEET})
    assert (await fetcher.report("")).reachable


async def test_a_followed_folder_that_is_missing(fetcher: FetcherHarness) -> None:
    fetcher.environment["KNARR_FLEET_PATH"] = "fleet"
    last = await fetcher.committed({"fleet/fleet.yaml": FLEET})
    fetcher.fleet.commit({"fleet/fleet.yaml": None, "moved/fleet.yaml": FLEET})
    await fetcher.report("KNR1014")
    assert await fetcher.newest() == last


async def test_one_source_fails_and_the_others_go_on(fetcher: FetcherHarness) -> None:
    good = fetcher.git.create("good")
    sha = good.commit({"app/a.yaml": "a"})
    sources = [
        {"name": "good", "url": fetcher.git.http_url("good")},
        {"name": "missing", "url": fetcher.git.http_url("missing")},
        {"name": "dead", "url": "http://127.0.0.1:9/nothing.git"},
    ]
    fetcher.fleet.commit({FLEET_FILE: fetcher.fleet_file(sources)})
    fetcher.start()
    assert await fetcher.files(await fetcher.commit(sha, "good")) == {"app/a.yaml": b"a"}
    await fetcher.report("KNR1006", "missing")
    await fetcher.report("KNR1001", "dead")
    sha = good.commit({"app/a.yaml": "b"})
    await fetcher.commit(sha, "good")
    await fetcher.committed({"README": "the fleet too"})


async def test_a_hostile_tree_is_refused_and_the_next_commit_is_not(fetcher: FetcherHarness) -> None:
    last = await fetcher.committed({"fleet.yaml": FLEET})
    assert last.commit is not None
    fetcher.push_raw_tree({b"..": b"escape", b"fleet.yaml": FLEET.encode()})
    await fetcher.report("KNR1012")
    assert await fetcher.newest() == last
    fetcher.fleet.branch("main", last.commit.sha)
    await fetcher.committed({"good": "again"})


async def test_a_tree_that_unfolds_without_end_is_refused(fetcher: FetcherHarness) -> None:
    last = await fetcher.committed({"fleet.yaml": FLEET})
    fetcher.push_tree_bomb(width=10, depth=12)
    await fetcher.report("KNR1011")
    assert await fetcher.newest() == last


async def test_a_garbled_message_is_published_over(fetcher: FetcherHarness) -> None:
    await fetcher.broker.publish_bytes("commit.fleet", b"\xff\xff garbage")
    await fetcher.broker.publish_bytes("source.fleet", b"\xff\xff garbage")
    snapshot = await fetcher.committed({"fleet.yaml": FLEET})
    assert await fetcher.files(snapshot) == {"fleet.yaml": FLEET.encode()}
    assert (await fetcher.report("")).reachable
