"""What pods say about a workload that does not become ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from knarr.agent.adapters.simulated.cluster import SimulatedCluster
from knarr.agent.adapters.simulated.controllers import Faults
from knarr.agent.core.causes import causes
from knarr.agent.core.health.pods import trouble
from knarr.agent.core.objects import ref_of
from knarr.agent.explain import Explainer
from knarr.agent.ports import AGENT, As, Page, Selection
from knarr.pipeline.names import ObjectId
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import Bench, bench, config_map, deployment
from knarr.testkit.agent_hub import bundle_of

WEB = ObjectId("apps/Deployment/shop/web")


def pod(name: str, owner: str, reason: str = "ImagePullBackOff", created: str = "1", message: str = "no") -> Any:
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": created,
            "ownerReferences": [{"uid": owner, "controller": True, "kind": "ReplicaSet", "name": "x"}],
        },
        "status": {
            "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}]
        },
    }


def test_a_pod_speaks_for_the_deployment_above_its_replica_set() -> None:
    found = causes({"d": WEB}, [pod("p", "r")], {"r": "d"})
    assert found == {WEB: "pod p: container main: ImagePullBackOff: no"}


def test_the_newest_pod_speaks_and_the_others_are_counted() -> None:
    pods = [pod("old", "r", created="1"), pod("new", "r", created="3"), pod("middle", "r", created="2")]
    assert causes({"d": WEB}, pods, {"r": "d"})[WEB].startswith("pod new (and 2 more): ")


def test_pods_of_others_and_pods_without_trouble_say_nothing() -> None:
    assert causes({"d": WEB}, [pod("p", "elsewhere"), pod("q", "r", reason="ContainerCreating")], {"r": "d"}) == {}


def test_a_pause_that_grows_does_not_move_the_report() -> None:
    said = {
        causes({"d": WEB}, [pod("p", "r", "CrashLoopBackOff", message=f"back-off {pause} restarting")], {"r": "d"})[WEB]
        for pause in ("10s", "20s", "2m40s", "5m0s")
    }
    assert len(said) == 1


TROUBLES: dict[str, tuple[dict[str, Any], str]] = {
    "an end by the system": (
        {
            "containerStatuses": [
                {
                    "name": "main",
                    "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                }
            ]
        },
        "container main: CrashLoopBackOff: back-off; it last ended with exit code 137 (OOMKilled)",
    ),
    "an init container": (
        {"initContainerStatuses": [{"name": "init", "state": {"waiting": {"reason": "ErrImagePull"}}}]},
        "container init: ErrImagePull",
    ),
    "no node": (
        {
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
            ]
        },
        "Unschedulable: 0/3 nodes",
    ),
    "an evicted pod": (
        {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
        "Evicted: low on memory",
    ),
    "a failed pod": (
        {"phase": "Failed", "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 3}}}]},
        "container a ended with exit code 3",
    ),
    "a pod that starts": ({"phase": "Pending"}, ""),
    "a completed pod": (
        {"phase": "Succeeded", "containerStatuses": [{"name": "a", "state": {"terminated": {"exitCode": 0}}}]},
        "",
    ),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_what_is_wrong_with_a_pod(case: str) -> None:
    status, said = TROUBLES[case]
    assert trouble({"status": status}) == said


def fated(name: str, fate: str) -> dict[str, Any]:
    made = deployment(name)
    labels = {**made["spec"]["template"]["metadata"]["labels"], "knarr.dev/fate": fate}
    made["spec"]["template"]["metadata"]["labels"] = labels
    return made


async def says(b: Bench, app: str, *parts: str) -> None:
    def said() -> bool:
        report = b.hub.app(app)
        return report is not None and all(any(p in o.message for o in report.unhealthy) for p in parts)

    await b.until(said)


FATES = {"image-pull": "ImagePullBackOff", "crash-loop": "CrashLoopBackOff", "unschedulable": "Unschedulable"}


@pytest.mark.parametrize("fate", FATES)
async def test_the_reason_of_the_pods_reaches_the_report_before_the_deadline(fate: str, tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a"), fated("web", fate), namespace="shop"))
        await says(b, "shop", FATES[fate], "pod web-0")
        report = b.hub.app("shop")
        assert report is not None
        assert report.state is AppState.PROGRESSING
        assert report.message.startswith("Deployment.apps shop/web: pod web-0: ")


async def test_the_reason_is_in_the_failure_once_the_deadline_has_passed(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", fated("web", "image-pull"), namespace="shop", progress_deadline_seconds=1.5))
        await b.state("shop", AppState.DEGRADED)
        report = b.hub.app("shop")
        assert report is not None
        assert report.failures[0].code == "KNR4040"
        assert report.failures[0].object_id == WEB
        assert "ImagePullBackOff" in report.failures[0].message


async def test_the_reason_goes_with_the_trouble(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.cluster.change_faults(Faults(never_ready_images=("shop:1",)))
        b.assign(bundle_of("shop", deployment("web"), namespace="shop"))
        await says(b, "shop", "ImagePullBackOff")
        b.cluster.change_faults(Faults())
        await b.state("shop", AppState.HEALTHY)
        report = b.hub.app("shop")
        assert report is not None
        assert report.unhealthy == ()


async def test_pods_are_listed_once_for_a_namespace_and_rarely(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bundles = [bundle_of(f"a{n}", fated(f"w{n}", "crash-loop"), namespace="shop") for n in range(10)]
        b.assign(*bundles)
        for n in range(10):
            await b.state(f"a{n}", AppState.PROGRESSING)
        before = b.cluster.requests
        for n in range(10):
            await says(b, f"a{n}", "CrashLoopBackOff")
        assert (
            b.cluster.requests - before <= 10
        )  # lists of pods and of ReplicaSets; one read of each per app would be 20


class Slow(SimulatedCluster):
    """A cluster that takes its time to list."""

    async def pages(self, what: Selection, *, who: As = AGENT) -> AsyncIterator[Page]:
        async for page in super().pages(what, who=who):
            await asyncio.sleep(0.02)
            yield page


async def test_two_apps_of_one_namespace_that_look_at_once_both_hear_why() -> None:
    async with Slow() as cluster:
        await cluster.create_namespace("shop")
        unready = []
        for name in ("one", "two"):
            done = await cluster.apply(fated(name, "image-pull"), force=True)
            unready.append({done.found["metadata"]["uid"]: ref_of(done.found).id})
        explainer = Explainer(cluster, time.time)

        async def reasons(of: dict[str, ObjectId]) -> dict[ObjectId, str]:
            return await explainer.reasons(of, time.time() - 10, AGENT)

        async with asyncio.timeout(10):
            while not all([await reasons(of) for of in unready]):  # until the pods are there
                explainer.forget()
        explainer.forget()
        first, second = await asyncio.gather(*(reasons(of) for of in unready))
        assert first
        assert second, "who comes second waits for what the first one reads"
