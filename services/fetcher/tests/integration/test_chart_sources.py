"""Charts of Helm repositories and OCI registries reach the snapshot, pinned, and trouble with one touches no other."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest

from knarr.messaging.streams import SNAPSHOTS
from knarr.pipeline.chart_lock import LOCK_FILE, LockedChart, lock_from_bytes
from knarr.pipeline.snapshot import SnapshotStored
from services.fetcher.tests.chart_servers import HelmServer, OciServer, chart, served
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness


@pytest.fixture
async def helm() -> AsyncIterator[HelmServer]:
    server = HelmServer(charts={("web", v): chart("web", v) for v in ("1.0.0", "1.1.0", "2.0.0-rc.1")})
    async with served(server):
        yield server


@pytest.fixture
async def oci() -> AsyncIterator[OciServer]:
    server = OciServer(charts={("team/web", v): chart("web", v) for v in ("0.9.0", "1.0.0_build.1")})
    async with served(server):
        yield server


def app(repository: str, version: str = "^1.0", name: str = "web") -> str:
    chart_named = f"{{repository: '{repository}', name: {name}, version: '{version}'}}"
    return f"apiVersion: knarr.dev/v1\nkind: App\nhelm:\n  chart: {chart_named}\n"


def locked(snapshot: SnapshotStored) -> dict[str, LockedChart]:
    """File → what its reference is pinned to."""
    lock = lock_from_bytes(snapshot.lock)
    return {path: found for path, reference in lock.uses if (found := lock.chart(reference)) is not None}


async def start(fetcher: FetcherHarness, files: dict[str, str | bytes | None]) -> SnapshotStored:
    sha = fetcher.fleet.commit({"fleet.yaml": FLEET, **files})
    if not fetcher.started:
        fetcher.start(KNARR_ALLOW_PLAIN_HTTP="true")
    return await fetcher.commit(sha)


async def restored(fetcher: FetcherHarness, *wanted: str) -> SnapshotStored:
    """Waits until the newest snapshot's charts have these failures (empty: none)."""

    async def ask() -> SnapshotStored | None:
        found = await fetcher.newest()
        codes = [c.code for c in lock_from_bytes(found.lock).charts] if found else []
        return found if codes == list(wanted) else None

    return await fetcher.until(ask, f"chart failures {wanted}")


async def test_a_chart_of_a_helm_repository_lies_in_the_snapshot(fetcher: FetcherHarness, helm: HelmServer) -> None:
    snapshot = await start(fetcher, {"web/knarr.yaml": app(helm.url)})
    pinned = locked(snapshot)["web/knarr.yaml"]
    files = await fetcher.files(snapshot)
    assert (pinned.version, pinned.code) == ("1.1.0", "")
    assert files[f"{pinned.folder}/Chart.yaml"] == b"apiVersion: v2\nname: web\nversion: 1.1.0\n"
    assert files[LOCK_FILE] == snapshot.lock


async def test_a_pin_stays_until_its_reference_asks_for_more(fetcher: FetcherHarness, helm: HelmServer) -> None:
    first = await start(fetcher, {"web/knarr.yaml": app(helm.url)})
    helm.charts["web", "1.2.0"] = chart("web", "1.2.0")
    helm.requests.clear()
    second = await start(fetcher, {"README.md": "more"})
    assert second.lock == first.lock
    assert helm.requests == []
    assert len(second.manifests) == len(first.manifests) + 1
    wider = await start(fetcher, {"web/knarr.yaml": app(helm.url, ">=1.0")})
    assert locked(wider)["web/knarr.yaml"].version == "1.1.0"
    await start(fetcher, {"web/knarr.yaml": app(helm.url, "^1.1.5"), "other/knarr.yaml": app(helm.url, "1.0.0")})
    fresh = await restored(fetcher, "", "")
    assert {path: c.version for path, c in locked(fresh).items()} == {
        "web/knarr.yaml": "1.2.0",
        "other/knarr.yaml": "1.0.0",
    }
    none = await start(fetcher, {"web/knarr.yaml": None, "other/knarr.yaml": None})
    assert none.lock == b""
    assert not any(path.startswith(".knarr") for path in await fetcher.files(none))


async def test_a_chart_of_a_registry_with_tokens_lies_in_the_snapshot(fetcher: FetcherHarness, oci: OciServer) -> None:
    repository = oci.url.replace("http://", "oci://") + "/team"
    files: dict[str, str | bytes | None] = {
        "web/knarr.yaml": app(repository, ">=0.9"),
        "old/knarr.yaml": app(repository, "0.9.0"),
    }
    snapshot = await start(fetcher, files)
    assert {path: (c.version, c.code) for path, c in locked(snapshot).items()} == {
        "web/knarr.yaml": ("1.0.0+build.1", ""),
        "old/knarr.yaml": ("0.9.0", ""),
    }
    contents = await fetcher.files(snapshot)
    assert all(f"{c.folder}/Chart.yaml" in contents for c in locked(snapshot).values())


async def test_a_token_server_elsewhere_is_not_asked(fetcher: FetcherHarness, oci: OciServer) -> None:
    oci.realm = "https://elsewhere.example.test/token"
    snapshot = await start(fetcher, {"web/knarr.yaml": app(oci.url.replace("http://", "oci://") + "/team")})
    assert [c.code for c in locked(snapshot).values()] == ["KNR1056"]


async def test_a_repository_that_is_down_holds_up_nothing_and_its_chart_comes_later(
    fetcher: FetcherHarness, helm: HelmServer
) -> None:
    helm.refuse_with = 503
    snapshot = await start(fetcher, {"web/knarr.yaml": app(helm.url), "a.yaml": "a: 1\n"})
    assert [c.code for c in locked(snapshot).values()] == ["KNR1050"]
    assert (await fetcher.files(snapshot))["a.yaml"] == b"a: 1\n"
    helm.refuse_with = None
    again = await restored(fetcher, "")
    assert again.commit == snapshot.commit
    assert f"{locked(again)['web/knarr.yaml'].folder}/Chart.yaml" in await fetcher.files(again)


async def test_one_chart_that_fails_leaves_the_others(fetcher: FetcherHarness, helm: HelmServer) -> None:
    await start(fetcher, {"web/knarr.yaml": app(helm.url)})
    snapshot = await start(fetcher, {"bad/knarr.yaml": app(helm.url, name="nothing"), "a.yaml": "a: 1\n"})
    assert {path: c.code for path, c in locked(snapshot).items()} == {
        "web/knarr.yaml": "",
        "bad/knarr.yaml": "KNR1052",
    }
    files = await fetcher.files(snapshot)
    assert f"{locked(snapshot)['web/knarr.yaml'].folder}/Chart.yaml" in files


async def test_an_archive_that_was_replaced_under_its_version_is_refused(
    fetcher: FetcherHarness, helm: HelmServer
) -> None:
    first = await start(fetcher, {"web/knarr.yaml": app(helm.url)})
    helm.charts["web", "1.1.0"] = chart("web", "1.1.0", {"templates/evil.yaml": "a: b\n"})
    await asyncio.to_thread(shutil.rmtree, fetcher.state / "charts")
    await fetcher.stop()
    await fetcher.remake(SNAPSHOTS)
    fetcher.start()
    snapshot = await restored(fetcher, "KNR1054")
    assert snapshot.commit == first.commit
    assert locked(snapshot)["web/knarr.yaml"].digest == locked(first)["web/knarr.yaml"].digest
    helm.charts["web", "1.1.0"] = chart("web", "1.1.0")
    healed = await restored(fetcher, "")
    assert healed.lock == first.lock


async def test_lost_state_and_lost_streams_keep_the_pin(fetcher: FetcherHarness, helm: HelmServer) -> None:
    first = await start(fetcher, {"web/knarr.yaml": app(helm.url)})
    helm.charts["web", "1.9.0"] = chart("web", "1.9.0")
    await fetcher.stop()
    await asyncio.to_thread(shutil.rmtree, fetcher.state)
    fetcher.start()
    second = await start(fetcher, {"README.md": "after the loss"})
    assert second.lock == first.lock
    assert [c.code for c in locked(second).values()] == [""]
    await fetcher.files(second)


async def test_what_git_has_in_the_reserved_folder_is_not_published(fetcher: FetcherHarness, helm: HelmServer) -> None:
    planted = {".knarr/charts.json": "{}", ".knarr/charts/aa/Chart.yaml": "name: evil\n", "a.yaml": "a: 1\n"}
    snapshot = await start(fetcher, dict(planted))
    assert sorted(await fetcher.files(snapshot)) == ["a.yaml", "fleet.yaml"]
    with_chart = await start(fetcher, {"web/knarr.yaml": app(helm.url), ".knarr/charts/aa/more": "x"})
    folder = locked(with_chart)["web/knarr.yaml"].folder
    assert sorted(await fetcher.files(with_chart)) == [
        LOCK_FILE, f"{folder}/Chart.yaml", "a.yaml", "fleet.yaml", "web/knarr.yaml",
    ]  # fmt: skip


HOSTILE: list[tuple[str, dict[str, object], str]] = [
    ("a digest that the index does not state", {"digests": {("web", "1.1.0"): "0" * 64}}, "KNR1054"),
    ("an index that is huge", {"index": b"entries: {}\n# " + b"x" * (17 << 20)}, "KNR1053"),
    ("an index that is deep", {"index": b"entries: " + b"[" * 100_000}, "KNR1053"),
    ("an index with aliases", {"index": b"a: &a [x]\nentries: {web: [*a]}\n"}, "KNR1053"),
    ("an index that is no YAML", {"index": b"\x00\x01"}, "KNR1053"),
    ("an index in an encoding", {"encoding": "gzip"}, "KNR1053"),
    ("a redirect elsewhere", {"redirect": "https://elsewhere.example.test/index.yaml"}, "KNR1056"),
    ("a redirect to metadata", {"redirect": "http://169.254.169.254/latest/"}, "KNR1056"),
    ("a login that is missing", {"refuse_with": 401}, "KNR1051"),
    ("an archive that is none", {"charts": {("web", "1.1.0"): b"not an archive"}}, "KNR1055"),
    ("another chart", {"charts": {("web", "1.1.0"): chart("other", "1.1.0")}}, "KNR1055"),
]


@pytest.mark.parametrize(("changes", "code"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE])
async def test_a_hostile_repository_gets_a_number(
    fetcher: FetcherHarness, helm: HelmServer, changes: dict[str, object], code: str
) -> None:
    for name, value in changes.items():
        setattr(helm, name, value)
    snapshot = await start(fetcher, {"web/knarr.yaml": app(helm.url)})
    assert [c.code for c in locked(snapshot).values()] == [code]


async def test_without_permission_for_plain_http_not_even_loopback_is_asked(
    fetcher: FetcherHarness, helm: HelmServer
) -> None:
    fetcher.start()
    snapshot = await start(fetcher, {"web/knarr.yaml": app(helm.url)})
    assert [c.code for c in locked(snapshot).values()] == ["KNR1057"]
    assert helm.requests == []
