"""One team's charts that never end, against the commits of everybody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knarr.local.nats import NatsServer
from knarr.messaging.streams import REVISIONS
from knarr.messaging.subjects import rendered_subject
from knarr.pipeline.revision import AppOutcome, CommitRendered
from services.renderer.tests.hub import FLEET, Hub, cluster, config_map, hub

SECONDS = 8.0  # what one run may take here
APP = "apiVersion: knarr.dev/v1\nkind: App\n"
SOURCES = "sources:\n  - {name: hostile, url: https://example.com/h}\n  - {name: other, url: https://example.com/o}\n"
CHART = "apiVersion: v2\nname: endless\nversion: 1.0.0\n"
ENDLESS = '{{ range $a := until 100000 }}{{ range $b := until 10000 }}{{ $_ := sha256sum "x" }}{{ end }}{{ end }}\n'


@pytest.fixture
async def running(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Hub]:
    async with hub(nats_server, tmp_path / "state", seconds=SECONDS) as value:
        yield value


def endless(count: int, mark: str = "") -> dict[str, str | bytes]:
    """So many apps that each render for ever."""
    files: dict[str, str | bytes] = {}
    for n in range(count):
        files |= {
            f"app{n}/knarr.yaml": f"{APP}name: endless-{n}\n",
            f"app{n}/Chart.yaml": CHART,
            f"app{n}/templates/a.yaml": f"# {n} {mark}\n{ENDLESS}",
        }
    return files


async def closed_yet(hub_: Hub, source: str) -> bool:
    return await hub_.broker.newest(REVISIONS, rendered_subject(source), CommitRendered) is not None


@pytest.mark.timeout(180)
async def test_six_charts_that_never_end_and_another_teams_commit(running: Hub) -> None:
    """The other's commit, chart and kustomization included, is rendered long before the first of them is ended."""
    fleet: dict[str, str | bytes] = {"fleet.yaml": FLEET + SOURCES, "clusters/c1.yaml": cluster("c1")}
    await running.closed(await running.commit(fleet))
    hostile = await running.commit(endless(6), "hostile")
    files: dict[str, str | bytes] = {
        "web/knarr.yaml": APP,
        "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        "web/templates/a.yaml": config_map("a"),
        "shop/knarr.yaml": APP,
        "shop/kustomization.yaml": "resources: [b.yaml]\n",
        "shop/b.yaml": config_map("b"),
    }
    for number in range(3):
        files["shop/b.yaml"] = config_map("b", str(number))
        began = time.monotonic()
        rendered = await running.closed(await running.commit(files, "other"))
        assert [a.failure_code for a in rendered.apps] == ["", ""]
        assert time.monotonic() - began < SECONDS / 2
    assert not await closed_yet(running, "hostile")
    ended = await running.closed(hostile, seconds=120)
    assert {a.failure_code for a in ended.apps} == {"KNR2402"}


@pytest.mark.timeout(180)
async def test_a_chart_that_never_ends_and_a_commit_of_the_fleet_itself(running: Hub) -> None:
    """The fleet's commit says that the app is late and goes on; afterwards it says what became of it."""
    fleet: dict[str, str | bytes] = {"fleet.yaml": FLEET + SOURCES, "clusters/c1.yaml": cluster("c1")}
    await running.closed(await running.commit(fleet))
    await running.commit(endless(1), "hostile")
    fleet |= {"own/a.yaml": config_map("a"), "own/knarr.yaml": APP, "clusters/c1.yaml": cluster("c1", "dev")}
    began = time.monotonic()
    commit = await running.commit(fleet)
    rendered = await running.closed(commit)
    assert time.monotonic() - began < SECONDS
    outcomes = {a.app: (a.outcome, a.failure_code) for a in rendered.apps}
    assert outcomes == {"own": (AppOutcome.REVISION, ""), "endless-0": (AppOutcome.FAILED, "KNR2412")}
    async with asyncio.timeout(120):
        while "KNR2402" not in {a.failure_code for a in rendered.apps}:
            await asyncio.sleep(0.05)
            rendered = await running.closed(commit)
    assert rendered.commit == commit


@pytest.mark.timeout(180)
async def test_a_chart_that_ran_out_of_time_is_changed_again_and_again(running: Hub) -> None:
    """Each change costs half of what the one before did."""
    fleet: dict[str, str | bytes] = {"fleet.yaml": FLEET + SOURCES, "clusters/c1.yaml": cluster("c1")}
    await running.closed(await running.commit(fleet))
    taken = []
    for mark in ("one", "two", "three"):
        began = time.monotonic()
        rendered = await running.closed(await running.commit(endless(1, mark), "hostile"), seconds=60)
        taken.append(time.monotonic() - began)
        assert [a.failure_code for a in rendered.apps] == ["KNR2402"]
    assert taken[2] < taken[0] / 2
