"""Garbled and hostile messages, streams made anew, servers that go away: recorded or numbered, never lost silently."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from knarr.local.nats import NatsServer
from knarr.messaging import subjects
from knarr.messaging.envelope import TYPE_HEADER, from_wire
from knarr.messaging.streams import ensure_streams
from knarr.pipeline.codec import encode
from knarr.pipeline.decision import DeadLetter
from knarr.pipeline.errors import Rejected
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.status.adapters.postgres.database import open_database
from knarr.status.adapters.postgres.migrate import migrate
from knarr.status.core import projection
from knarr.status.core.standing import Standing, standing

APP = {TYPE_HEADER: "AppReport"}
CLUSTER = {TYPE_HEADER: "ClusterReport"}
BAD = [
    ("garbled bytes", "report.dev-1.app.web", b"\xff\xff\xff\xff", APP, "KNR7001"),
    ("a truncated report", "report.dev-1.app.web", encode(AppReport(app="web", message="x" * 90))[:-9], APP, "KNR7001"),
    ("a message of another kind", "report.dev-1.app.web", b"", {TYPE_HEADER: "CommitRendered"}, "KNR7001"),
    ("broken compression", "report.dev-1.app.web", b"zzzz", {**APP, "Knarr-Encoding": "zstd"}, "KNR7001"),
    ("about another cluster", "report.dev-1.app.web", encode(AppReport(cluster="dev-2", app="web")), APP, "KNR5002"),
    ("about another app", "report.dev-1.app.web", encode(AppReport(cluster="dev-1", app="shop")), APP, "KNR5002"),
    ("a cluster on an app's subject", "report.dev-1.app.web", encode(ClusterReport(cluster="x")), CLUSTER, "KNR5002"),
    ("a name that is no DNS label", "report.dev_1.cluster", encode(ClusterReport(cluster="dev_1")), CLUSTER, "KNR5002"),
]  # fmt: skip


async def _dead_letter(hub: Any) -> DeadLetter:
    subscription = await hub.broker.jetstream().pull_subscribe("dead.*", "reader", stream="DEAD_LETTERS")
    (message,) = await subscription.fetch(1, timeout=10)
    letter: DeadLetter = from_wire((DeadLetter,), message.data, message.headers)
    return letter


@pytest.mark.parametrize(("what", "subject", "payload", "headers", "code"), BAD, ids=[b[0] for b in BAD])
async def test_bad_reports_get_a_number_and_hold_up_nothing(
    hub: Any, story: Any, what: str, subject: str, payload: bytes, headers: dict[str, str], code: str
) -> None:
    await story.know("web", "shop")
    await story.beat("dev-1")
    await story.report("dev-1", "web", AppState.HEALTHY, digest=bytes(32), generation=1)
    before = await hub.until("clusters/dev-1", lambda c: c["placements"])
    await hub.broker.publish_bytes(subject, payload, headers=headers)
    await story.beat("dev-3")
    letter = await _dead_letter(hub)
    assert letter.failure is not None
    assert (letter.failure.code, letter.subject, letter.stream) == (code, subject, "REPORTS")
    await hub.until("clusters", lambda c: [i["name"] for i in c["items"]] == ["dev-1", "dev-3"])
    assert (await hub.get("clusters/dev-1"))["placements"] == before["placements"]


async def test_reports_beyond_their_bounds_cost_only_their_own_message(hub: Any, story: Any) -> None:
    """NUL, negative sizes and times before time, beside honest reports of the same batch."""
    await story.know("web")
    await story.beat("dev-1")
    await hub.until("clusters", lambda c: c["items"])
    await asyncio.gather(
        story.beat("dev-2"),
        story.beat("dev-1", kubernetes_version="v\0" + "9" * 5000),
        story.report("dev-1", "web", AppState.HEALTHY, message="\0" * 10, object_count=-1, since_ms=-(2**63)),
        story.beat("dev-3"),
    )
    await hub.until("clusters", lambda c: len(c["items"]) == 3)
    told = await hub.until("events", lambda e: e["items"], kind="report-refused")
    assert {(e["cluster"], e["code"]) for e in told["items"]} == {("dev-1", "KNR7014")}
    found = await hub.get("clusters/dev-1")
    assert (found["kubernetes_version"], found["placements"]) == ("v1.36.3", [])


async def test_a_value_that_the_database_refuses_costs_only_its_own_message(
    hub: Any, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes every check of ours and is refused all the same is found by halves."""
    projected = projection.cluster_row

    def too_much(*arguments: Any) -> Any:
        row = projected(*arguments)
        return replace(row, app_count=2**40) if row.name == "dev-2" else row

    monkeypatch.setattr(projection, "cluster_row", too_much)
    await asyncio.gather(*(story.beat(f"dev-{n}") for n in (1, 2, 3)), *(story.beat(f"prod-{n}") for n in range(1, 6)))
    letter = await _dead_letter(hub)
    assert letter.failure is not None
    assert (letter.failure.code, letter.subject) == ("KNR5005", "report.dev-2.cluster")
    await hub.until("clusters", lambda c: len(c["items"]) == 7)


async def test_reports_made_anew_count_from_one_and_still_count(hub: Any, story: Any) -> None:
    for number in range(30):
        await story.beat("dev-1", generation_seen=number)
    await hub.until("clusters/dev-1", lambda c: c["generation_seen"] == 29)
    await hub.broker.jetstream().delete_stream("REPORTS")
    await ensure_streams(hub.broker.jetstream())
    await story.beat("dev-1", generation_seen=100)
    await story.beat("dev-2")
    await hub.until("clusters/dev-1", lambda c: c["generation_seen"] == 100)
    await hub.until("clusters", lambda c: len(c["items"]) == 2)


@pytest.mark.parametrize("stream", ["COMMITS", "REVISIONS", "DECISIONS", "SOURCES"])
async def test_every_stream_may_be_made_anew(hub: Any, story: Any, stream: str) -> None:
    commit = await story.commit("one")
    await story.assign(commit, await story.render(commit, {"web": ["/Service/x/a"]}))
    await hub.until("commits", lambda c: c["items"] and c["items"][0]["stages"][3]["seconds"] is not None)
    await hub.broker.jetstream().delete_stream(stream)
    await ensure_streams(hub.broker.jetstream())
    commit = await story.commit("two")
    await story.assign(commit, await story.render(commit, {"web": ["/Service/x/b"]}))

    def all_of_it(answer: dict[str, Any]) -> bool:
        newest = answer["items"][0]
        whole = all(s["seconds"] is not None for s in newest["stages"][:4])
        return whole and (newest["subject"], newest["changed"]) == ("two", ["web"])

    await hub.until("commits", all_of_it)
    await hub.until("sources", lambda s: s["items"][0]["commit"]["subject"] == "two")


async def test_facts_are_told_again_when_their_stream_was_lost(hub: Any, story: Any, wait_until: Any) -> None:
    await story.beat("dev-1")

    async def told() -> bool:
        return bool((await hub.broker.jetstream().stream_info("FACTS")).state.messages)

    await wait_until(told)
    await hub.broker.jetstream().delete_stream("FACTS")
    await ensure_streams(hub.broker.jetstream())
    await wait_until(told)


async def test_it_survives_a_restart_of_the_broker(hub: Any, story: Any, nats_server: NatsServer) -> None:
    await story.beat("dev-1")
    await hub.until("clusters", lambda c: c["items"])
    await nats_server.restart()
    await hub.broker.wait_connected(20)
    await story.beat("dev-2")
    await hub.until("clusters", lambda c: len(c["items"]) == 2)
    async with hub.http.get(f"{hub.url}/healthz") as response:
        assert response.status == 200


async def test_a_lost_listener_says_that_anything_may_have_changed(hub: Any, story: Any, database: str) -> None:
    await story.beat("dev-1")
    await hub.until("clusters", lambda c: c["items"])
    stream = await hub.http.get(f"{hub.url}/api/v1/stream")
    connection = await asyncpg.connect(database)
    try:
        killed = await connection.fetchval(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where datname = current_database() and query ilike 'listen%'"
        )
    finally:
        await connection.close()
    assert killed == 1
    async with asyncio.timeout(15):
        while True:
            line = (await stream.content.readline()).decode()
            if line.startswith("data: ") and '"cells":null' in line:
                break
    stream.close()


async def test_a_removed_app_leaves_its_subject_once_rollout_has_read_it(hub: Any, story: Any, wait_until: Any) -> None:
    subject = subjects.report_app_subject("dev-1", "web")
    await story.know("web", "shop")
    await hub.broker.jetstream().pull_subscribe("report.*.app.*", "rollout-apps", stream="REPORTS")
    await story.report("dev-1", "web", AppState.HEALTHY, digest=bytes(32), generation=1)
    await story.report("dev-1", "shop", AppState.HEALTHY, digest=bytes(32), generation=1)
    await hub.until("clusters/dev-1", lambda c: len(c["placements"]) == 2)
    await story.report("dev-1", "web", AppState.REMOVED, digest=b"", generation=2)
    await hub.until("clusters/dev-1", lambda c: [p["app"] for p in c["placements"]] == ["shop"])
    assert await hub.broker.newest_bytes("REPORTS", subject) is not None  # rollout has not read it
    reader = await hub.broker.jetstream().pull_subscribe_bind(consumer="rollout-apps", stream="REPORTS")
    for message in await reader.fetch(10, timeout=5):
        await message.ack()

    async def gone() -> bool:
        return await hub.broker.newest_bytes("REPORTS", subject) is None

    await wait_until(gone)
    assert await hub.broker.newest_bytes("REPORTS", subjects.report_app_subject("dev-1", "shop")) is not None


async def test_a_cluster_that_is_not_heard_turns_unknown_and_comes_back(
    hub: Any, story: Any, environment: dict[str, str], database: str
) -> None:
    await story.know("web")
    await story.beat("dev-1")
    await story.report("dev-1", "web", AppState.HEALTHY, digest=bytes(32), generation=1)
    await hub.until("clusters/dev-1", lambda c: c["standing"] == "healthy" and c["placements"])
    async with hub.database.transaction() as connection:  # an hour goes by
        await connection.execute("update status.cluster set heard_at_ms = heard_at_ms - 3600000")
    found = await hub.until("clusters/dev-1", lambda c: c["silent"])
    assert (found["standing"], found["placements"][0]["standing"]) == ("unknown", "unknown")
    assert found["placements"][0]["state"] == "healthy"  # what it said last
    assert found["age_ms"] > 3_500_000
    assert (await hub.get("summary"))["apps"][0]["standings"]["unknown"] == 1
    await hub.until("events", lambda e: e["items"], kind="cluster-silent")
    await story.beat("dev-1")
    await hub.until("clusters/dev-1", lambda c: c["standing"] == "healthy")
    await hub.until("events", lambda e: e["items"], kind="cluster-back")


async def test_a_cluster_that_is_new_is_not_one_that_came_back(hub: Any, story: Any) -> None:
    commit = await story.commit("one")
    await story.render(commit, {"web": ["/Service/x/a"]})
    await hub.until("clusters", lambda c: len(c["items"]) == 12 and all(i["standing"] == "unknown" for i in c["items"]))
    await story.beat("dev-1")
    await hub.until("clusters/dev-1", lambda c: not c["silent"])
    assert (await hub.get("events"))["items"] == []


async def test_migrations_run_once_and_refuse_a_strange_database(database: str) -> None:
    async with open_database(database) as opened:
        async with opened.connection() as connection:
            assert await migrate(connection) == 0
        async with opened.transaction() as connection:
            await connection.execute("update status.migration set sha256 = 'x'")
    with pytest.raises(Rejected, match="KNR5004"):
        async with open_database(database):
            pass


async def test_several_replicas_may_start_at_once(database: str) -> None:
    async def start() -> None:
        async with open_database(database, connections=1):
            pass

    await asyncio.gather(*(start() for _ in range(4)))


async def test_the_database_calls_a_standing_as_the_code_does(database: str) -> None:
    digests = [None, b"a" * 32, b"b" * 32]
    async with open_database(database) as opened, opened.connection() as connection:
        for state in [None, *AppState]:
            for digest in digests:
                for assigned in digests:
                    if state is not None and digest is None:
                        continue  # a report always carries a digest, if an empty one
                    word = state.value if state else None
                    stored = await connection.fetchval("select status.standing($1, $2, $3)", word, digest, assigned)
                    assert Standing(stored) is standing(state, digest, assigned), (state, digest, assigned)
