"""One trace per commit, asked of a real Jaeger; deliveries are traces of their own that link back to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from knarr.local.jaeger import JaegerServer
from knarr.testkit.trace_tree import Node, lines, links, roots
from tests.house import QUICK, House, Plan, app_files, config_map, house, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.jaeger]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jaeger(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[JaegerServer]:
    """Where the processes send their spans."""
    async with JaegerServer(tmp_path_factory.mktemp("jaeger")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def traced(jaeger: JaegerServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A house whose every process exports its spans."""
    environment = {**QUICK, "OTEL_EXPORTER_OTLP_ENDPOINT": jaeger.otlp_endpoint}
    async with house(tmp_path_factory.mktemp("traced"), Plan(environment=environment)) as made:
        yield made


async def _tree(traced: House, jaeger: JaegerServer, sha: str, last: str) -> tuple[str, Node]:
    """The commit's trace id and its one root, once the fetcher's and the other services' spans have arrived."""
    commit = (await traced.ask("commits", sha=sha, limit="1"))["items"][0]
    trace_id: str = commit["trace_id"]

    async def whole() -> Node | None:
        tops = roots(await jaeger.whole_trace(trace_id))
        arrived = {node.name for top in tops for node in top.walk()}
        return tops[0] if len(tops) == 1 and {"fetch", last} <= arrived else None

    return trace_id, await until("the trace having one root", whole, 15.0)


async def test_a_commit_is_one_trace_from_fetch_to_decision(traced: House, jaeger: JaegerServer) -> None:
    await traced.pushed(app_files("shop", {"a": "one"}))
    sha = await traced.pushed({"apps/shop/a.yaml": config_map("a", "two")})
    _, fetch = await _tree(traced, jaeger, sha, "sign and publish")
    assert (fetch.service, fetch.name, fetch.tags["vcs.ref.head.revision"]) == ("fetcher", "fetch", sha)
    assert [n.name for n in fetch.below] == ["git fetch", "snapshot", "render"]
    render = fetch.below[-1]
    assert (render.service, [n.name for n in render.below]) == ("renderer", ["read snapshots", "render app", "decide"])
    decide = render.below[-1]
    assert (decide.service, [n.name for n in decide.below]) == ("rollout", ["sign and publish"])
    assert all(node.tags.get("error") is not True for node in fetch.walk())
    assert len(lines(fetch)) == len(list(fetch.walk()))


async def test_each_delivery_is_a_trace_that_links_to_the_commit(traced: House, jaeger: JaegerServer) -> None:
    sha = await traced.pushed(app_files("linked", {"a": "one"}))
    trace_id, _ = await _tree(traced, jaeger, sha, "decide")

    async def delivered() -> list[dict[str, Any]] | None:
        found = await jaeger.traces_of("agent", "deliver")
        mine = [t for t in found if any(trace_id in links(s) for s in t["spans"])]
        return mine if len(mine) == len(traced.plan.clusters) else None

    deliveries = await until("every delivery's trace", delivered, 15.0)
    tops = [roots(trace) for trace in deliveries]
    assert [len(found) for found in tops] == [1] * len(traced.plan.clusters)
    assert {found[0].tags["knarr.cluster"] for found in tops} == set(traced.plan.clusters)
    assert {found[0].tags["knarr.app"] for found in tops} == {"linked"}
    for (deliver,) in tops:
        assert [n.name for n in deliver.below][-2:] == ["apply", "healthy"]


async def test_what_status_records_links_to_the_commit(traced: House, jaeger: JaegerServer) -> None:
    sha = await traced.pushed(app_files("recorded", {"a": "one"}))
    trace_id, _ = await _tree(traced, jaeger, sha, "decide")

    async def recorded() -> bool:
        found = await jaeger.traces_of("status", "status record DECISIONS")
        return any(trace_id in links(span) for trace in found for span in trace["spans"])

    await until("the record of the decision", recorded, 15.0)


async def test_a_commit_that_fails_is_marked_in_its_trace(traced: House, jaeger: JaegerServer) -> None:
    await traced.pushed(app_files("marked", {"a": "one"}))
    sha = await traced.push({"apps/marked/a.yaml": "a: [\n"})
    await traced.commit_in(sha, ("failed",))
    _, fetch = await _tree(traced, jaeger, sha, "decide")
    [app] = [n for n in fetch.walk() if n.name == "render app" and n.tags["knarr.app"] == "marked"]
    assert app.tags.get("error.type", "").startswith("KNR")
    await traced.pushed({"apps/marked/a.yaml": config_map("a", "one")})
