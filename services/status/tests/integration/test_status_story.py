"""What the API says while a fleet speaks: from the first commit to a held revision and its approval."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from knarr.messaging.envelope import from_wire
from knarr.pipeline.decision import AppDecision, AppVerdict, Command, CommandVerb, EventRecorded
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppState, DriftEntry, ObjectHealth, Transition
from knarr.pipeline.revision import ClusterFacts

SHOP = [f"apps/Deployment/shop/{n}" for n in "abcde"] + [f"/Service/shop/{n}" for n in "abcdefghij"]


async def _first_release(hub: Any, story: Any) -> Any:
    commit = await story.commit("Shop: first release")
    made = await story.render(commit, {"shop": SHOP, "web": SHOP[:3]})
    await story.assign(commit, made)
    for cluster in story.clusters:
        await story.beat(cluster)
        for app in made:
            await story.report(cluster, app, AppState.HEALTHY)
    await hub.until("summary", lambda s: s["clusters"]["standings"]["healthy"] == 12 and len(s["apps"]) == 2)
    await hub.until("commits", lambda c: c["items"] and c["items"][0]["state"] == "healthy")
    return commit


async def test_a_commit_becomes_healthy_and_which_commit_is_where(hub: Any, story: Any) -> None:
    first = await _first_release(hub, story)
    summary = await hub.get("summary")
    assert [(s["stage"], s["clusters"]) for s in summary["stages"]] == [("dev", 3), ("staging", 3), ("prod", 6)]
    second = await story.commit("Web: blue")
    made = await story.render(second, {"web": SHOP[:4]}, unchanged=["shop"])
    await story.assign(second, made)
    for cluster in ("dev-1", "dev-2"):
        await story.report(cluster, "web", AppState.HEALTHY)
    where = await hub.until(
        f"commits/fleet/{second.sha}",
        lambda c: [a["on"]["count"] for a in c["apps"]] == [12, 2] and c["deliveries"]["healthy"] == 2,
    )
    shop, web = where["apps"]
    assert (shop["app"], shop["outcome"], shop["on"]["count"]) == ("shop", "unchanged", 12)
    assert (web["outcome"], web["on"]["clusters"], web["off"]["count"]) == ("revision", ["dev-1", "dev-2"], 10)
    assert where["deliveries"] | {"superseded": 0} == {
        "total": 12, "reached": 2, "healthy": 2, "superseded": 0, "clusters": 12,
    }  # fmt: skip
    placements = {p["app"]: p for p in (await hub.get("clusters/prod-1"))["placements"]}
    assert placements["shop"]["commit"]["sha"] == second.sha  # the newest that names its digest
    assert placements["shop"]["made_by"]["sha"] == first.sha
    assert placements["web"]["commit"]["sha"] == first.sha
    assert placements["web"]["standing"] == "waiting"
    on = await hub.get("clusters", app="web", commit=second.sha)
    assert [c["name"] for c in on["items"]] == ["dev-1", "dev-2"]
    told = await hub.get("explain", cluster="prod-1", app="web")
    assert "its agent has not seen it yet" in told["sentence"]


async def test_what_is_said_of_an_object_names_its_line_in_git(hub: Any, story: Any) -> None:
    await _first_release(hub, story)
    commit = await story.commit("Shop: another image")
    made = await story.render(commit, {"shop": [*SHOP[3:], *SHOP[:3]]}, unchanged=["web"])
    await story.assign(commit, made)
    await story.report(
        "dev-1",
        "shop",
        AppState.FAILED,
        failures=(Failure(code="KNR4020", message="the API refuses it", object_id=SHOP[3]),),
        unhealthy=(ObjectHealth(object_id=SHOP[0], status="InProgress", message="1 of 2 ready"),),
        drift=(DriftEntry(object_id="/ConfigMap/shop/nobody-knows", at_ms=1),),
    )

    def told(cluster: Any) -> bool:
        return any(f["origin"] == "apps/shop/all.yaml:0" for p in cluster["placements"] for f in p["failures"])

    (shop,) = [p for p in (await hub.until("clusters/dev-1", told))["placements"] if p["app"] == "shop"]
    assert shop["unhealthy"][0]["origin"] == "apps/shop/all.yaml:12"
    assert shop["drift"][0]["origin"] == ""
    sentence = (await hub.get("explain", cluster="dev-1", app="shop"))["sentence"]
    assert "the API refuses it (apps/shop/all.yaml:0)" in sentence


async def test_a_held_revision_stays_held_until_approved(hub: Any, story: Any) -> None:
    await _first_release(hub, story)
    commit = await story.commit("Shop: a kustomization.yaml")
    made = await story.render(commit, {"shop": SHOP[:1]}, unchanged=["web"])
    await story.hold(commit, made["shop"], SHOP[1:], len(SHOP))
    other = await story.commit("README")
    await story.render(other, {}, unchanged=["shop", "web"])
    await story.decide(other, [])
    held = (await hub.until("revisions", lambda r: len(r["items"]) == 1, state="held"))["items"][0]
    assert held["held"]["headline"] == "shop would lose 14 of 15 objects in 12 clusters"
    assert held["held"]["objects"] == 14 * 12
    assert held["losses"][0]["objects"] == SHOP[1:]
    assert (await hub.get("summary"))["held"] == 1
    assert (await hub.get("apps/shop"))["held"]["approve"] == f"knarr approve {held['short']}"
    assert (await hub.get("explain", cluster="dev-1", app="shop"))["code"] == "KNR3101"
    events = await hub.until("events", lambda e: e["items"], kind="revision-held")
    assert events["items"][0]["revision"] == held["revision"]

    evidence = held["held"]["evidence"]
    assert len(evidence) == 64
    assert (await hub.get("apps/shop"))["held"]["evidence"] == evidence
    for lacking in ({}, {"reason": "meant"}, {"evidence": "abc"}, {"evidence": None}):
        status, problem = await hub.post(f"revisions/{held['short']}/approve", lacking)
        assert (status, problem["code"]) == (428, "KNR5052")
        assert "Look again" in problem["next_step"]
    status, problem = await hub.post(f"revisions/{held['short']}/approve", {}, token=None)
    assert (status, problem["code"]) == (401, "KNR5030")
    status, problem = await hub.post(f"revisions/{held['short']}/approve", {}, token="guess")
    assert (status, problem["code"]) == (401, "KNR5030")

    async def rollout() -> Command:
        subscription = await story.broker.jetstream().pull_subscribe("command.*", "rollout", stream="COMMANDS")
        (message,) = await subscription.fetch(1, timeout=10)
        command: Command = from_wire((Command,), message.data, message.headers)
        await message.ack()
        await story.assign(commit, made, command.command_id)
        await story.handle(command.command_id)
        return command

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(rollout())
        body = {"actor": "ada", "reason": "meant", "evidence": evidence}
        answer = group.create_task(hub.post(f"revisions/{held['short']}/approve", body))
    assert answer.result() == (
        200, {"command_id": asked.result().command_id, "accepted": True, "revision": held["revision"]},
    )  # fmt: skip
    assert (asked.result().verb, asked.result().revision) == (CommandVerb.APPROVE, held["revision"])
    assert asked.result().evidence.hex() == evidence
    approved = await hub.until("revisions", lambda r: r["items"], state="approved")
    assert approved["items"][0]["approval"] == {"actor": "ada", "reason": "meant"}
    assert (await hub.get("revisions", state="held"))["items"] == []
    status, problem = await hub.post(f"revisions/{held['short']}/approve", {"evidence": evidence})
    assert (status, problem["code"]) == (409, "KNR5041")


async def test_an_approved_change_that_waits_says_where_and_notices_are_events(hub: Any, story: Any) -> None:
    await _first_release(hub, story)
    commit = await story.commit("Shop: gone")
    made = await story.render(commit, {"shop": SHOP[:1]}, unchanged=["web"])
    waits = AppDecision(
        app="shop", verdict=AppVerdict.ASSIGNED, revision=made["shop"].revision, waiting_clusters=("prod-2", "dev-1")
    )
    notices = (Failure(code="KNR3040", message="guards were loosened: holdRemoval is off"),)
    await story.decide(commit, [waits], notices=notices, actor="ada", reason="moved")
    shop = await hub.until("apps/shop", lambda a: a["waiting_clusters"])
    assert shop["waiting_clusters"] == ["dev-1", "prod-2"]
    assert shop["waits"] == "approved, waits in dev-1, prod-2: another app there did not render"
    revision = await hub.get(f"revisions/{made['shop'].revision}")
    assert (revision["waiting_clusters"], revision["waits"]) == (shop["waiting_clusters"], shop["waits"])
    told = await hub.until("events", lambda e: e["items"], kind="notice")
    assert [(e["code"], e["message"]) for e in told["items"]] == [(notices[0].code, notices[0].message)]
    await story.assign(commit, made)
    assert (await hub.until("apps/shop", lambda a: not a["waiting_clusters"]))["waits"] == ""


async def test_the_revert_of_a_held_commit_passes_and_the_accident_stays_readable(hub: Any, story: Any) -> None:
    await _first_release(hub, story)
    good = story.revisions["shop"]
    accident = await story.commit("Shop: a kustomization.yaml")
    made = await story.render(accident, {"shop": SHOP[:1]}, unchanged=["web"])
    await story.hold(accident, made["shop"], SHOP[1:], len(SHOP))
    await hub.until("revisions", lambda r: r["items"], state="held")
    revert = await story.commit("Revert")
    again = (await story.render(revert, {"shop": SHOP}, unchanged=["web"]))["shop"]
    app = AppDecision(app="shop", verdict=AppVerdict.UNCHANGED, revision=again.revision)
    await story.decide(revert, [app])
    states = ["unchanged", "dropped", "healthy"]
    found = await hub.until("commits", lambda c: [i["state"] for i in c["items"]] == states)
    assert found["items"][1]["dropped"] == ["shop"]
    assert (await hub.get("summary"))["held"] == 0
    events = await hub.get("events", kind="revision-dropped")
    assert [e["revision"] for e in events["items"]] == [made["shop"].revision]
    kept = await hub.get(f"revisions/{made['shop'].revision}")
    assert (kept["state"], kept["held"]["objects"]) == ("superseded", 14 * 12)
    assert (await hub.get("apps/shop"))["standings"]["healthy"] == 12
    assert good.revision != again.revision


async def test_a_command_that_rollout_refuses_or_does_not_answer(hub: Any, story: Any) -> None:
    await _first_release(hub, story)
    commit = await story.commit("Shop: less")
    made = await story.render(commit, {"shop": SHOP[:1]}, unchanged=["web"])
    await story.hold(commit, made["shop"], SHOP[1:], len(SHOP))
    await hub.until("revisions", lambda r: r["items"], state="held")
    path = f"revisions/{made['shop'].revision}/approve"
    status, problem = await hub.post(path, {"evidence": "0" * 64})
    assert (status, problem["code"]) == (504, "KNR5040")

    async def refuse() -> None:
        subscription = await story.broker.jetstream().pull_subscribe("command.*", "rollout", stream="COMMANDS")
        refused = 0
        while refused < 2:  # the unanswered one waited in the queue
            for message in await subscription.fetch(1, timeout=10):
                command = from_wire((Command,), message.data, message.headers)
                await message.ack()
                failure = Failure(code="KNR3103", message="superseded meanwhile", next_step="Look again.")
                await story.handle(command.command_id, failure)
                refused += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(refuse())
        answer = group.create_task(hub.post(path, {"evidence": "0" * 64}))
    status, problem = answer.result()
    assert (status, problem["code"], problem["next_step"]) == (409, "KNR3103", "Look again.")


async def test_a_failed_render_keeps_the_last_good_revision(hub: Any, story: Any) -> None:
    await _first_release(hub, story)
    commit = await story.commit("Web: typo")
    failure = Failure(code="KNR2103", message="base.yaml does not exist", origin="apps/web/kustomization.yaml:4")
    await story.render(commit, {}, unchanged=["shop"], failed={"web": failure})
    app = await hub.until("apps/web", lambda a: a["render_failures"])
    assert app["render_failures"][0]["origin"] == "apps/web/kustomization.yaml:4"
    assert app["standings"]["healthy"] == 12
    assert (await hub.get("commits"))["items"][0]["state"] == "failed"
    assert "did not render" in (await hub.get("explain", cluster="dev-1", app="web"))["sentence"]
    mended = await story.commit("Web: mended")
    await story.render(mended, {}, unchanged=["shop", "web"])
    await hub.until("apps/web", lambda a: not a["render_failures"])


async def test_facts_are_told_once_and_again_when_they_change(hub: Any, story: Any, wait_until: Any) -> None:
    await story.beat("dev-1", labels={"zone": "a"})

    async def facts() -> Any:
        return await story.broker.newest("FACTS", "facts.dev-1", ClusterFacts)

    await wait_until(facts)
    first = await facts()
    assert first.value.cluster_uid == "uid-dev-1"
    assert first.value.reported_labels == {"zone": "a"}
    await story.beat("dev-1", labels={"zone": "a"}, generation_seen=5)
    await hub.until("clusters/dev-1", lambda c: c["generation_seen"] == 5)
    assert (await facts()).sequence == first.sequence
    await story.beat("dev-1", labels={"zone": "b"})

    async def changed() -> bool:
        return bool((await facts()).value.reported_labels == {"zone": "b"})

    await wait_until(changed)


async def test_capabilities_stay_known_while_a_cluster_cannot_read_them(hub: Any, story: Any, wait_until: Any) -> None:
    monitors = ("monitoring.coreos.com/v1/ServiceMonitor",)
    await story.beat("dev-2", capabilities=(), capabilities_known=False)

    async def unknown() -> Any:
        return await story.broker.newest("FACTS", "facts.dev-2", ClusterFacts)

    await wait_until(unknown)
    assert not (await unknown()).value.capabilities_known
    await story.beat("dev-1", capabilities=monitors, capabilities_known=True)

    async def facts() -> Any:
        return await story.broker.newest("FACTS", "facts.dev-1", ClusterFacts)

    await wait_until(facts)
    first = await facts()
    assert (first.value.capabilities, first.value.capabilities_known) == (monitors, True)
    await story.beat("dev-1", capabilities=(), capabilities_known=False, generation_seen=7)
    await hub.until("clusters/dev-1", lambda c: c["generation_seen"] == 7)
    assert (await facts()).sequence == first.sequence
    await story.beat("dev-1", capabilities=(), capabilities_known=True)

    async def gone() -> bool:
        return bool((await facts()).value.capabilities == ())

    await wait_until(gone)


async def test_events_are_published_and_history_is_kept(hub: Any, story: Any) -> None:
    await _first_release(hub, story)
    happened = (
        Transition(state=AppState.PROGRESSING, at_ms=1),
        Transition(state=AppState.DEGRADED, at_ms=2, reason="deadline"),
    )
    await story.report("dev-1", "web", AppState.DEGRADED, message="0 of 2 replicas", transitions=happened)
    await hub.until("events", lambda e: e["items"], kind="app-degraded")
    await story.report("dev-1", "web", AppState.HEALTHY)
    await hub.until("events", lambda e: e["items"], kind="app-recovered")
    subscription = await story.broker.jetstream().pull_subscribe("event.>", "reader", stream="EVENTS")
    told: list[EventRecorded] = []
    async with asyncio.timeout(10):
        while len(told) < 2:
            messages = await subscription.fetch(10, timeout=10)
            told += [from_wire((EventRecorded,), m.data, m.headers) for m in messages]
    assert [e.kind for e in told] == ["app-degraded", "app-recovered"]
    history = (await hub.get("clusters/dev-1/apps/web/history"))["items"]
    assert [(t["at_ms"], t["state"]) for t in history] == [(2, "degraded"), (1, "progressing")]


async def test_a_page_hears_what_changes_and_goes_on_without_a_gap(hub: Any, story: Any) -> None:
    async def events(last_id: str = "") -> Any:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        return await hub.http.get(f"{hub.url}/api/v1/stream", headers=headers)

    async def read(response: Any, kind: str) -> tuple[str, dict[str, Any]]:
        found: dict[str, str] = {}
        async with asyncio.timeout(10):
            while True:
                line = (await response.content.readline()).decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    found[name] = value
                elif found.get("event") == kind:
                    return found.get("id", ""), json.loads(found["data"])
                else:
                    found = {}

    stream = await events()
    assert (await read(stream, "beat"))[1]["at_ms"] > 0
    await read(stream, "reset")
    await story.beat("dev-1")
    while True:
        last, change = await read(stream, "change")
        if change["summary"]["clusters"]["total"] == 1 and change["cells"]:
            break
    assert change["cells"] == [["dev-1", "", "h"]]
    stream.close()
    await story.beat("dev-2")
    await hub.until("summary", lambda s: s["clusters"]["total"] == 2)
    again = await events(last)
    await read(again, "change")
    again.close()
    forgotten = await events("0-0")
    await read(forgotten, "reset")
    forgotten.close()


async def test_lists_are_paged_and_filtered_by_the_server(hub: Any, story: Any) -> None:
    await _first_release(hub, story)
    names: list[str] = []
    token: str | None = ""
    while token is not None:
        more = {"continue": token} if token else {}
        page = await hub.get("clusters", limit="5", **more)
        names += [c["name"] for c in page["items"]]
        token = page["metadata"]["continue"]
    assert names == sorted(story.clusters)
    assert len((await hub.get("clusters", stage="prod"))["items"]) == 6
    assert len((await hub.get("clusters", labels="env=dev,region=eu"))["items"]) == 2
    assert [c["name"] for c in (await hub.get("clusters", q="aging-2"))["items"]] == ["staging-2"]
    assert (await hub.get("clusters", q="%"))["items"] == []
    await story.report("dev-3", "web", AppState.FAILED)
    await hub.until("clusters", lambda c: [i["name"] for i in c["items"]] == ["dev-3"], standing="failed,degraded")
    cells = await hub.get("map")
    assert dict(zip(cells["names"], cells["standing"], strict=True))["dev-3"] == "f"
