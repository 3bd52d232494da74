"""What one cluster may do to the read model: invented apps stay out of it, flapping facts are told once in a while."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from knarr.messaging import subjects
from knarr.pipeline.report import AppReport, AppState
from knarr.pipeline.revision import ClusterFacts
from knarr.status.adapters.postgres import reports
from knarr.status.adapters.postgres.strangers import PostgresStrangers
from knarr.status.core.rows import StrangerRow


async def test_a_report_that_is_here_before_its_app_is_known_is_shown_once_it_is(hub: Any, story: Any) -> None:
    await story.beat("dev-1")
    await story.report("dev-1", "early", AppState.HEALTHY, digest=bytes(32), generation=1, message="first")
    await story.report("dev-1", "early", AppState.HEALTHY, digest=bytes(32), generation=1, message="newest")
    await hub.until("clusters/dev-1", lambda c: c["heard_at_ms"])
    assert (await hub.get("clusters/dev-1"))["placements"] == []
    assert (await hub.get("summary"))["apps"] == []
    await story.know("early")
    found = await hub.until("clusters/dev-1", lambda c: c["placements"])
    assert [(p["app"], p["message"]) for p in found["placements"]] == [("early", "newest")]


async def test_invented_apps_leave_the_stream_and_known_ones_stay(hub: Any, story: Any, wait_until: Any) -> None:
    await story.know("web")
    await story.beat("dev-1")
    await story.report("dev-1", "web", AppState.HEALTHY, digest=bytes(32), generation=1)
    report = AppReport(cluster="dev-1", state=AppState.FAILED)
    for number in range(300):
        name = f"invented-{number}"
        await hub.broker.publish(subjects.report_app_subject("dev-1", name), replace(report, app=name))
    await hub.broker.publish_bytes(subjects.report_app_subject("dev-1", "no_label"), b"\xff" * 100_000)
    await story.report("dev-2", "web", AppState.HEALTHY, digest=bytes(32), generation=1)

    async def gone() -> bool:
        left = await hub.broker.subjects_of("REPORTS", "report.dev-1.app.*")
        return bool(left == {"report.dev-1.app.web"})

    await wait_until(gone)
    assert [a["app"] for a in (await hub.get("apps"))["items"]] == ["web"]
    assert [a["app"] for a in (await hub.get("summary"))["apps"]] == ["web"]
    assert [p["app"] for p in (await hub.get("clusters/dev-1"))["placements"]] == ["web"]
    told = await hub.until("events", lambda e: e["items"], kind="apps-unknown")
    assert {(e["cluster"], e["code"]) for e in told["items"]} == {("dev-1", "KNR5051")}
    await hub.until("clusters/dev-2", lambda c: c["placements"])


async def test_a_cluster_that_invents_without_end_is_remembered_with_a_bound(hub: Any, story: Any) -> None:
    store = PostgresStrangers(hub.database)
    for start in range(0, 7_000, 500):
        rows = [StrangerRow(cluster="dev-9", app=f"x{n}", sequence=1) for n in range(start, start + 500)]
        await store.record_letters([], rows, 2**45)
    async with hub.database.connection() as connection:
        assert await connection.fetchval("select count(*) from status.stranger where cluster = 'dev-9'") <= 5_500
    await store.record_letters([], [StrangerRow(cluster="dev-8", app="x", sequence=1)], 2**45)
    async with hub.database.connection() as connection:
        assert await connection.fetchval("select count(*) from status.stranger where cluster = 'dev-8'") == 1


async def test_an_app_that_flaps_pushes_out_nobody_elses_events(
    hub: Any, story: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "SHARE", 6)
    await story.know("web")
    for number in range(20):
        state = AppState.FAILED if number % 2 else AppState.HEALTHY
        await story.report("dev-1", "web", state, digest=bytes(32), generation=1, message=str(number))
        await hub.until(
            "clusters/dev-1", lambda c, n=str(number): c["placements"] and c["placements"][0]["message"] == n
        )
    await story.report("dev-2", "web", AppState.FAILED, digest=bytes(32), generation=1)
    await hub.until("events", lambda e: e["items"], cluster="dev-2", kind="app-failed")
    mine = (await hub.get("events", cluster="dev-1"))["items"]
    assert len(mine) <= 7
    assert mine[0]["code"] == "KNR5053"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "KNARR_FACTS_SECONDS": "3"}


async def test_facts_that_flap_are_told_once_in_a_while_and_the_newest_is_told(
    hub: Any, story: Any, wait_until: Any
) -> None:
    async def told() -> int:
        return int((await hub.broker.jetstream().stream_info("FACTS")).state.last_seq)

    await story.beat("dev-1", labels={"n": "first"}, capabilities_known=True)
    await wait_until(told)
    first = await told()
    for number in range(16):
        await story.beat("dev-1", labels={"n": str(number)}, capabilities_known=True)
        await hub.until("clusters/dev-1", lambda c, n=str(number): c["labels"].get("reported.knarr.dev/n") == n)
    await story.beat("dev-2")  # who tells one change only does not wait for it

    async def both() -> bool:
        return await hub.broker.newest("FACTS", "facts.dev-2", ClusterFacts) is not None

    await wait_until(both)

    async def newest() -> bool:
        found = await hub.broker.newest("FACTS", "facts.dev-1", ClusterFacts)
        return bool(found.value.reported_labels == {"n": "15"})

    await wait_until(newest)
    assert await told() - first <= 3 + 1
