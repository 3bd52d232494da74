"""A dry run is answered with steps and paths; nothing is written, no value is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import DryRun
from knarr.pipeline.codec import encode
from knarr.pipeline.report import AppState, PlanReport, StepAction
from knarr.testkit.agent_bench import Bench, bench, config_map, deployment
from knarr.testkit.agent_hub import bundle_of


async def asked(b: Bench, bundle: Bundle, *assigned: Bundle) -> PlanReport:
    """The answer; `assigned` stays assigned."""
    dry = DryRun(request_id=f"r{b.assigner.generation}", app=b.prepared(bundle), asked_at_ms=1)
    b.assign(*assigned, dry_runs=(dry,))
    await b.until(lambda: f"plan {dry.request_id}" in b.hub.reports)
    found = b.hub.reports[f"plan {dry.request_id}"]
    assert isinstance(found, PlanReport)
    return found


def steps(report: PlanReport) -> dict[str, tuple[StepAction, tuple[str, ...]]]:
    return {s.object_id: (s.action, s.differences) for s in report.steps}


def secret(value: str) -> dict[str, Any]:
    metadata = {"name": "s", "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": value}}


async def test_the_plan_of_an_app_that_is_not_there_yet(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        report = await asked(b, bundle_of("shop", config_map("a"), deployment("web"), namespace="shop"))
        assert steps(report) == {
            "/ConfigMap/shop/a": (StepAction.CREATE, ()),
            "apps/Deployment/shop/web": (StepAction.CREATE, ()),
        }
        assert report.failures == ()
        assert b.get("ConfigMap", "a") is None
        assert b.cluster.objects.get(("", "Namespace", "", "shop")) is None
        assert b.hub.app("shop") is None


async def test_the_plan_of_a_change_names_paths_and_writes_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        kept = [config_map(f"k{n}") for n in range(8)]
        now = bundle_of("shop", config_map("a", x="1"), config_map("old"), *kept, deployment("web"), namespace="shop")
        b.assign(now)
        await b.state("shop", AppState.HEALTHY)
        before = dict(b.cluster.objects.found)
        changed = deployment("web")
        changed["spec"]["replicas"] = 5
        planned = bundle_of("shop", config_map("a", x="2"), config_map("new"), *kept, changed, namespace="shop")
        report = await asked(b, planned, now)
        assert report.digest == planned.digest
        shown = {i: s for i, s in steps(report).items() if s[0] is not StepAction.UNCHANGED}
        assert shown == {
            "/ConfigMap/shop/a": (StepAction.CONFIGURE, ("data.x",)),
            "/ConfigMap/shop/new": (StepAction.CREATE, ()),
            "/ConfigMap/shop/old": (StepAction.PRUNE, ()),
            "apps/Deployment/shop/web": (StepAction.CONFIGURE, ("spec.replicas",)),
        }
        assert dict(b.cluster.objects.found) == before
        assert (r := b.hub.app("shop")) is not None
        assert r.digest == now.digest


async def test_secret_values_never_leave_the_cluster(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        now = bundle_of("shop", secret("correct-horse"), namespace="shop")
        b.assign(now)
        await b.state("shop", AppState.HEALTHY)
        report = await asked(b, bundle_of("shop", secret("battery-staple"), namespace="shop"), now)
        assert steps(report)["/Secret/shop/s"] == (StepAction.CONFIGURE, ("stringData.password",))
        wire = encode(report)
        assert b"correct-horse" not in wire
        assert b"battery-staple" not in wire


async def test_deletions_over_the_budget_are_told_as_held(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        now = bundle_of("shop", *(config_map(f"n{i}") for i in range(10)), namespace="shop")
        b.assign(now)
        await b.state("shop", AppState.HEALTHY)
        report = await asked(b, bundle_of("shop", config_map("n0"), namespace="shop"), now)
        assert [f.code for f in report.failures] == ["KNR4030"]
        assert b.get("ConfigMap", "n9") is not None


async def test_what_would_be_refused_is_told_with_its_number(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        strange = {"apiVersion": "example.com/v1", "kind": "Strange", "metadata": {"name": "x", "namespace": "shop"}}
        report = await asked(b, bundle_of("shop", config_map("a"), strange, namespace="shop"))
        assert [(f.code, f.object_id) for f in report.failures] == [("KNR4010", "example.com/Strange/shop/x")]


async def test_what_the_bundle_itself_brings_is_no_failure(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        definition = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "stranges.example.com"},
            "spec": {"group": "example.com", "names": {"kind": "Strange"}, "scope": "Namespaced"},
        }
        place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
        strange = {"apiVersion": "example.com/v1", "kind": "Strange", "metadata": {"name": "x", "namespace": "other"}}
        report = await asked(b, bundle_of("shop", definition, place, strange, config_map("a", "other")))
        assert report.failures == ()


async def test_a_bundle_that_is_not_there_is_answered_too(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        app = b.prepared(bundle_of("shop", config_map("a"), namespace="shop"))
        b.hub.blobs.clear()
        b.assign(dry_runs=(DryRun(request_id="q", app=app), DryRun(request_id="nothing")))
        await b.until(lambda: {"plan q", "plan nothing"} <= set(b.hub.reports))
        codes = {name: [f.code for f in r.failures] for name, r in b.hub.reports.items() if isinstance(r, PlanReport)}
        assert codes == {"plan q": ["KNR7013"], "plan nothing": ["KNR4007"]}
