"""A plan is asked for through rollout and answered by the agent; the API gives the answer to who asked."""

from __future__ import annotations

import asyncio
from typing import Any

from knarr.messaging.envelope import from_wire
from knarr.messaging.subjects import report_plan_subject
from knarr.pipeline.decision import Command, CommandVerb
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import PlannedStep, PlanReport, StepAction

_HOSTILE = "would\u202e change"


async def test_a_plan_is_asked_for_and_its_answer_is_given_to_who_asked(hub: Any, story: Any) -> None:
    commit = await story.commit("one")
    made = await story.render(commit, {"web": ["/Service/x/a"]})
    revision = made["web"].revision
    await story.assign(commit, made)
    await hub.until("revisions", lambda r: r["items"])

    async def rollout() -> Command:
        subscription = await story.broker.jetstream().pull_subscribe("command.*", "rollout", stream="COMMANDS")
        (message,) = await subscription.fetch(1, timeout=10)
        command: Command = from_wire((Command,), message.data, message.headers)
        await message.ack()
        await story.handle(command.command_id)
        return command

    async with asyncio.TaskGroup() as group:
        asked = group.create_task(rollout())
        body = {"app": "web", "revision": revision[:12], "actor": "ada"}
        answer = group.create_task(hub.post("clusters/dev-1/plan", body))
    command = asked.result()
    assert (command.verb, command.cluster, command.app, command.revision) == (
        CommandVerb.PLAN,
        "dev-1",
        "web",
        revision,
    )
    assert answer.result() == (200, {"command_id": command.command_id, "accepted": True, "cluster": "dev-1"})

    path = f"clusters/dev-1/plans/{command.command_id}"
    assert await hub.get(path) == {"command_id": command.command_id, "answered": False}
    step = PlannedStep(action=StepAction.CONFIGURE, object_id="/Service/x/a", stage=2, differences=(_HOSTILE,))
    for request in ("0123456789", command.command_id):
        report = PlanReport(
            cluster="dev-1", request_id=request, app="web", digest=bytes(31) + b"\1", steps=(step,), answered_at_ms=7,
            failures=(Failure(code="KNR4030", message="too many"),),
        )  # fmt: skip
        await story.broker.publish(report_plan_subject("dev-1"), report)
    found = await hub.get(path)
    assert (found["answered"], found["app"], found["digest"]) == (True, "web", "00" * 31 + "01")
    assert found["steps"] == [
        {"action": "configure", "object": "/Service/x/a", "stage": 2, "reason": "", "differences": ["would change"]}
    ]
    assert [f["code"] for f in found["failures"]] == ["KNR4030"]
    assert (await hub.get("clusters/dev-1/plans/0123456789"))["answered"] is False, "only the newest answer is kept"
    await story.broker.publish(report_plan_subject("dev-1"), PlanReport(cluster="dev-1", request_id="x\x1b[2J"))
    async with hub.http.get(f"{hub.url}/api/v1/{path}") as response:
        assert (response.status, (await response.json())["code"]) == (409, "KNR7014")


async def test_a_plan_needs_a_token_an_app_and_a_revision_that_there_is(hub: Any, story: Any) -> None:
    status, problem = await hub.post("clusters/dev-1/plan", {"app": "web"}, token=None)
    assert (status, problem["code"]) == (401, "KNR5030")
    for body in ({}, {"app": "No Label"}, {"app": "web", "revision": "x"}, {"app": "web", "colour": "red"}):
        status, problem = await hub.post("clusters/dev-1/plan", body)
        assert (status, problem["code"]) == (415, "KNR5032"), body
    status, problem = await hub.post("clusters/dev-1/plan", {"app": "web", "revision": "abcdef"})
    assert (status, problem["code"]) == (404, "KNR5020")
