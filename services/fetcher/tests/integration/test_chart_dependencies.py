"""What charts in Git depend on comes with the snapshot, in the versions of their Chart.lock."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from knarr.pipeline.chart_lock import LockedChart, lock_from_bytes
from knarr.pipeline.snapshot import SnapshotStored
from services.fetcher.tests.chart_servers import HelmServer, chart, served
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness


@pytest.fixture
async def helm() -> AsyncIterator[HelmServer]:
    server = HelmServer(charts={("db", v): chart("db", v) for v in ("1.0.0", "1.1.0", "2.0.0")})
    async with served(server):
        yield server


def description(*dependencies: tuple[str, str, str], annotations: str = "{}") -> str:
    lines = [f"  - {{name: {n}, version: '{v}', repository: '{r}'}}" for n, v, r in dependencies]
    return "\n".join(
        ["apiVersion: v2", "name: web", "version: 0.1.0", f"annotations: {annotations}", "dependencies:", *lines, ""]
    )


def lock(*dependencies: tuple[str, str, str]) -> str:
    return "\n".join(
        ["dependencies:", *(f"- {{name: {n}, version: {v}, repository: '{r}'}}" for n, v, r in dependencies), ""]
    )


def locked(snapshot: SnapshotStored) -> dict[str, LockedChart]:
    """Name of the dependency → what it is pinned to."""
    found = lock_from_bytes(snapshot.lock)
    return {r.name: c for _, r in found.uses if (c := found.chart(r)) is not None}


async def commit(fetcher: FetcherHarness, files: dict[str, str | bytes | None]) -> SnapshotStored:
    sha = fetcher.fleet.commit({"fleet.yaml": FLEET, **files})
    if not fetcher.started:
        fetcher.start(KNARR_ALLOW_PLAIN_HTTP="true")
    return await fetcher.commit(sha)


async def test_chart_lock_says_which_version(fetcher: FetcherHarness, helm: HelmServer) -> None:
    files = {
        "web/Chart.yaml": description(("db", ">= 1.0, < 3", helm.url)),
        "web/Chart.lock": lock(("db", "1.0.0", helm.url)),
    }
    snapshot = await commit(fetcher, dict(files))
    pinned = locked(snapshot)["db"]
    assert (pinned.version, pinned.code) == ("1.0.0", "")
    assert f"{pinned.folder}/Chart.yaml" in await fetcher.files(snapshot)
    moved = await commit(fetcher, {"web/Chart.lock": lock(("db", "2.0.0", helm.url))})
    assert locked(moved)["db"].version == "2.0.0"
    contents = await fetcher.files(moved)
    assert f"{locked(moved)['db'].folder}/Chart.yaml" in contents
    assert f"{pinned.folder}/Chart.yaml" not in contents


async def test_without_a_chart_lock_the_highest_is_pinned_and_stays(fetcher: FetcherHarness, helm: HelmServer) -> None:
    first = await commit(fetcher, {"web/Chart.yaml": description(("db", "^1", helm.url))})
    assert locked(first)["db"].version == "1.1.0"
    helm.charts["db", "1.2.0"] = chart("db", "1.2.0")
    helm.requests.clear()
    later = await commit(fetcher, {"README.md": "words"})
    touched = await commit(fetcher, {"web/Chart.yaml": description(("db", "^1.0", helm.url))})
    assert helm.requests == []
    assert later.lock == first.lock
    assert locked(touched)["db"].version == "1.1.0"
    gone = await commit(fetcher, {"web/Chart.yaml": description()})
    assert gone.lock == b""


async def test_a_lock_that_does_not_fit_is_refused(fetcher: FetcherHarness, helm: HelmServer) -> None:
    files = {
        "web/Chart.yaml": description(("db", "^2", helm.url)),
        "web/Chart.lock": lock(("db", "1.0.0", helm.url)),
    }
    snapshot = await commit(fetcher, dict(files))
    assert locked(snapshot)["db"].code == "KNR1059"
    assert helm.requests == []
    healed = await commit(fetcher, {"web/Chart.lock": lock(("db", "2.0.0", helm.url))})
    assert (locked(healed)["db"].version, locked(healed)["db"].code) == ("2.0.0", "")


async def test_what_is_vendored_is_not_asked_for(fetcher: FetcherHarness, helm: HelmServer) -> None:
    inner = description(("deeper", "^1", helm.url)).replace("name: web", "name: db")
    files: dict[str, str | bytes | None] = {
        "web/Chart.yaml": description(
            ("db", "^1", helm.url), ("cache", "^1", helm.url), ("near", "*", "file://../near")
        ),
        "web/charts/db/Chart.yaml": inner,
        "web/charts/cache-1.0.0.tgz": chart("cache", "1.0.0"),
        "charts/plain/Chart.yaml": "apiVersion: v2\nname: plain\nversion: 0.1.0\n",
    }
    snapshot = await commit(fetcher, files)
    assert snapshot.lock == b""
    assert helm.requests == []
    missing = await commit(fetcher, {"web/charts/db/Chart.yaml": None})
    assert {name: c.version for name, c in locked(missing).items()} == {"db": "1.1.0"}


async def test_a_private_repository_gets_the_login_that_the_chart_names(
    fetcher: FetcherHarness, helm: HelmServer
) -> None:
    helm.login = "robot:secret"
    (fetcher.folder / "credentials.yaml").write_text(
        f"credentials:\n  registry: {{urls: ['{helm.url}'], username: robot, password: secret}}\n"
    )
    fetcher.environment["KNARR_CREDENTIALS_FILE"] = str(fetcher.folder / "credentials.yaml")
    without = await commit(fetcher, {"web/Chart.yaml": description(("db", "^1", helm.url))})
    assert locked(without)["db"].code == "KNR1051"
    named = description(("db", "^1", helm.url), annotations="{knarr.dev/credentials: 'db=registry'}")
    snapshot = await commit(fetcher, {"web/Chart.yaml": named})
    assert (locked(snapshot)["db"].version, locked(snapshot)["db"].code) == ("1.1.0", "")


@pytest.mark.parametrize(
    "broken",
    ["<<<<<<< HEAD\ndependencies: []\n", "dependencies: []\n", "", "x" * 100_000],
    ids=["merge markers", "without the dependency", "empty", "huge"],
)
async def test_a_chart_lock_that_says_nothing_of_a_dependency_is_no_missing_lock(
    fetcher: FetcherHarness, helm: HelmServer, broken: str
) -> None:
    snapshot = await commit(fetcher, {"web/Chart.yaml": description(("db", "^1", helm.url)), "web/Chart.lock": broken})
    assert locked(snapshot)["db"].code == "KNR1059"


async def test_another_chart_of_a_like_name_is_not_the_dependency(fetcher: FetcherHarness, helm: HelmServer) -> None:
    files: dict[str, str | bytes | None] = {
        "web/Chart.yaml": description(("db", "^1", helm.url)),
        "web/charts/db-cluster-1.0.0.tgz": chart("db-cluster", "1.0.0"),
        "web/charts/db-vault-1.0.tgz": b"",
    }
    assert locked(await commit(fetcher, files))["db"].version == "1.1.0"


async def test_a_name_that_would_leave_its_place_is_nobodys_chart(fetcher: FetcherHarness, helm: HelmServer) -> None:
    named = [("../other/secret", "^1", helm.url), ("a/b", "^1", helm.url), ("db", "^1", helm.url + "/" + "x" * 600)]
    snapshot = await commit(fetcher, {"web/Chart.yaml": description(*named)})
    assert (snapshot.lock, helm.requests) == (b"", [])


async def test_a_failure_that_becomes_another_one_is_told(fetcher: FetcherHarness, helm: HelmServer) -> None:
    helm.refuse_with = 503
    first = await commit(fetcher, {"web/Chart.yaml": description(("db", "^1", helm.url))})
    assert locked(first)["db"].code == "KNR1050"
    helm.refuse_with = 401

    async def told() -> SnapshotStored | None:
        newest = await fetcher.newest()
        return newest if newest and locked(newest)["db"].code == "KNR1051" else None

    again = await fetcher.until(told, "the login's failure")
    assert again.commit == first.commit
    quiet = len(helm.requests)
    helm.refuse_with = None
    healed = await fetcher.until(lambda: _healed(fetcher), "the chart")
    assert len(helm.requests) <= quiet + 4
    assert locked(healed)["db"].version == "1.1.0"


async def _healed(fetcher: FetcherHarness) -> SnapshotStored | None:
    newest = await fetcher.newest()
    return newest if newest and not locked(newest)["db"].code else None
