"""Charts of a repository on their way from the commit to the clusters, and variants that fail beside others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from services.fetcher.tests.chart_servers import HelmServer, chart, served
from tests.house import QUICK, Files, House, Plan, app_files, house, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
TEMPLATE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {value: '{{ .Values.text }} by VERSION'}\n"


def packed(name: str, version: str) -> bytes:
    """A chart that writes its value and its own version."""
    return chart(
        name, version, {"values.yaml": "text: default\n", "templates/a.yaml": TEMPLATE.replace("VERSION", version)}
    )


def charted(name: str, url: str, version: str, text: str) -> Files:
    """An app of a chart of the same name."""
    document = (
        f"apiVersion: knarr.dev/v1\nkind: App\nname: {name}\nnamespace: {name}\nhelm:\n  values: {{text: {text}}}\n"
        f"  chart: {{repository: '{url}', name: {name}, version: '{version}'}}\n"
    )
    return {f"apps/{name}/knarr.yaml": document}


@dataclass(frozen=True, slots=True, kw_only=True)
class Charted:
    house: House
    server: HelmServer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def charts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Charted]:
    """An installation that may ask a repository on this machine."""
    server = HelmServer(charts={(n, v): packed(n, v) for n in ("web", "late") for v in ("1.0.0", "1.1.0")})
    plan = Plan(environment={**QUICK, "KNARR_ALLOW_PLAIN_HTTP": "true"})
    async with served(server), house(tmp_path_factory.mktemp("charts"), plan) as made:
        yield Charted(house=made, server=server)


async def test_a_chart_reaches_every_cluster_and_a_newer_one_only_when_asked_for(charts: Charted) -> None:
    await charts.house.pushed(charted("web", charts.server.url, "1.0.x", "one"))
    await charts.house.everywhere("web", "a", "one by 1.0.0")
    charts.server.charts["web", "1.0.9"] = packed("web", "1.0.9")
    await charts.house.pushed(charted("web", charts.server.url, "1.0.x", "two"))
    await charts.house.everywhere("web", "a", "two by 1.0.0")
    await charts.house.pushed(charted("web", charts.server.url, "^1.1", "three"))
    await charts.house.everywhere("web", "a", "three by 1.1.0")


async def test_a_repository_that_is_away_holds_up_its_app_alone_which_comes_without_another_push(
    charts: Charted,
) -> None:
    charts.server.refuse_with = 503
    await charts.house.push({**charted("late", charts.server.url, "^1", "late"), **app_files("beside", {"a": "here"})})
    await charts.house.everywhere("beside", "a", "here")

    async def failing() -> bool:
        return [f["code"] for f in (await charts.house.ask("apps/late"))["render_failures"]] == ["KNR1050"]

    await until("the app failing with KNR1050", failing)
    charts.server.refuse_with = None
    await charts.house.everywhere("late", "a", "late by 1.1.0", 60.0)
    await charts.house.at_rest()


async def test_a_variant_that_fails_stays_while_the_others_move(charts: Charted) -> None:
    def sized(sizes: dict[str, str], text: str) -> Files:
        files: Files = {
            f"clusters/{cluster}.yaml": f"apiVersion: knarr.dev/v1\nkind: Cluster\nname: {cluster}\n"
            + (f"variables: {{size: {sizes[cluster]}}}\n" if cluster in sizes else "")
            for cluster in charts.house.plan.clusters
        }
        head = "apiVersion: knarr.dev/v1\nkind: App\nname: sized\nnamespace: sized\nvariables: {size: null}\n"
        return {**files, **app_files("sized", {"a": text}), "apps/sized/knarr.yaml": head}

    first, *others = charts.house.plan.clusters
    everybody = dict.fromkeys(charts.house.plan.clusters, "s")
    await charts.house.pushed(sized(everybody, "${size} one"))
    await charts.house.everywhere("sized", "a", "s one")
    await charts.house.push(sized(dict.fromkeys(others, "s"), "${size} two"))

    async def moved() -> bool:
        return charts.house.values("sized", "a") == {first: "s one", **dict.fromkeys(others, "s two")}

    async def told(codes: list[str]) -> bool:
        return [f["code"] for f in (await charts.house.ask("apps/sized"))["render_failures"]] == codes

    await until("the others moving", moved, 30.0, lambda: charts.house.values("sized", "a"))
    await until("the failure being told", lambda: told(["KNR2201"]))
    await charts.house.pushed(sized(everybody, "${size} three"))
    await charts.house.everywhere("sized", "a", "s three")
    await until("the failure being over", lambda: told([]))
