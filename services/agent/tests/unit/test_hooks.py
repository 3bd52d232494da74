"""Hooks run at their point of the delivery, once per bundle, and their end decides what follows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from knarr.agent.core.hooks import Phase, hooks_of, is_stamp, stamp
from knarr.bundle.hooks import is_hook
from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import DryRun
from knarr.pipeline.names import ObjectId
from knarr.pipeline.report import AppState, PlanReport, StepAction
from knarr.testkit.agent_bench import Bench, bench, config_map
from knarr.testkit.agent_hub import MemoryHub, bundle_of


def job(name: str, fate: str = "", **annotations: str) -> dict[str, Any]:
    labels = {"labels": {"knarr.dev/fate": fate}} if fate else {}
    keys = {k.replace("__", "/").replace("_", "-").replace("knarr-dev", "knarr.dev"): v for k, v in annotations.items()}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "shop", "annotations": keys},
        "spec": {"template": {"metadata": labels, "spec": {"containers": [{"name": "main", "image": "job:1"}]}}},
    }


def pre(name: str, fate: str = "", **more: str) -> dict[str, Any]:
    return job(name, fate, knarr_dev__hook="pre-apply", **more)


def post(name: str, fate: str = "", **more: str) -> dict[str, Any]:
    return job(name, fate, knarr_dev__hook="post-apply", **more)


def helm(name: str, hook: str, **more: str) -> dict[str, Any]:
    made = job(name)
    made["metadata"]["annotations"] = {"helm.sh/hook": hook, **{f"helm.sh/{k}": v for k, v in more.items()}}
    return made


def find(b: Bench, name: str) -> dict[str, Any] | None:
    return b.cluster.objects.get(("batch", "Job", "shop", name))


class Order:
    """The order in which objects came to be."""

    def __init__(self, b: Bench) -> None:
        self.names: list[str] = []
        b.cluster.objects.listeners.append(self._note)

    def _note(self, change: Any) -> None:
        if not change.deleted and change.key[1] in ("Job", "ConfigMap") and change.key[3] not in self.names:
            self.names.append(change.key[3])


def shop(*objects: dict[str, Any], **policy: Any) -> Bundle:
    return bundle_of("shop", *objects, namespace="shop", **policy)


# --- which hooks there are ---------------------------------------------------------

HELM: dict[str, tuple[str, bool, list[Phase]]] = {
    "a first install runs pre-install": ("pre-install", False, [Phase.PRE]),
    "an upgrade does not": ("pre-install", True, []),
    "an upgrade runs pre-upgrade": ("pre-install, pre-upgrade", True, [Phase.PRE]),
    "a first install runs post-install": ("post-install,post-upgrade", False, [Phase.POST]),
    "an object of both phases runs twice": ("pre-upgrade,post-upgrade", True, [Phase.PRE, Phase.POST]),
    "tests are left out": ("test", False, []),
    "deletion hooks are left out": ("pre-delete,post-rollback", True, []),
}


@pytest.mark.parametrize("case", HELM)
def test_the_hooks_of_helm(case: str) -> None:
    words, installed, phases = HELM[case]
    made = helm("j", words)
    assert [h.phase for h in hooks_of([made], installed=installed)] == phases
    assert is_hook(made)


def test_a_crd_of_a_chart_is_an_ordinary_object() -> None:
    assert not is_hook(helm("j", "crd-install"))
    assert not is_hook(config_map("a"))


def test_hooks_run_by_weight_then_kind_then_name() -> None:
    weighed = [helm(n, "pre-install", **{"hook-weight": w}) for n, w in (("c", "1"), ("b", "-5"), ("a", "nonsense"))]
    for order in itertools.permutations(weighed):
        assert [h.ref.name for h in hooks_of(order, installed=False)] == ["b", "a", "c"]


# --- the flow ----------------------------------------------------------------------


async def test_hooks_run_before_and_after_the_rest(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        order = Order(b)
        b.assign(shop(config_map("a"), post("after"), pre("second", knarr_dev__wave="2"), pre("first")))
        await b.state("shop", AppState.HEALTHY)
        assert order.names == ["first", "second", "a", "after"]
        report = b.hub.app("shop")
        assert report is not None
        assert report.object_count == 1


async def test_a_hook_that_runs_holds_back_what_comes_after_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(shop(config_map("a"), pre("migrate", fate="never-ready")))
        await b.until(lambda: (r := b.hub.app("shop")) is not None and r.message.startswith("waits for hook"))
        assert (r := b.hub.app("shop")) is not None
        assert r.state is AppState.PROGRESSING
        assert find(b, "migrate") is not None
        assert b.get("ConfigMap", "a") is None


async def test_a_failed_hook_fails_the_app_with_a_number_and_nothing_follows(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        keep = [config_map(f"k{n}") for n in range(8)]
        b.assign(shop(*keep, config_map("old")))
        await b.state("shop", AppState.HEALTHY)
        b.assign(shop(*keep, config_map("new"), pre("migrate", fate="failed")))
        await b.state("shop", AppState.FAILED)
        report = b.hub.app("shop")
        assert report is not None
        assert [(f.code, f.object_id) for f in report.failures] == [("KNR4043", "batch/Job/shop/migrate")]
        assert "BackoffLimitExceeded" in report.failures[0].message
        assert b.get("ConfigMap", "new") is None
        assert b.get("ConfigMap", "old") is not None
        apps = b.assign(shop(*keep, config_map("new"), pre("migrate")))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        assert b.get("ConfigMap", "new") is not None


async def test_a_failed_hook_runs_again_when_its_object_is_deleted(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(shop(config_map("a"), pre("migrate", fate="failed")))
        await b.state("shop", AppState.FAILED)
        first = find(b, "migrate")
        b.cluster.remove(("batch", "Job", "shop", "migrate"))
        await b.eventually(lambda: find(b, "migrate") is not None)
        second = find(b, "migrate")
        assert first is not None
        assert second is not None
        assert first["metadata"]["uid"] != second["metadata"]["uid"]


async def test_a_hook_has_a_deadline(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(shop(config_map("a"), pre("migrate", fate="never-ready"), progress_deadline_seconds=0.3))
        await b.state("shop", AppState.FAILED)
        report = b.hub.app("shop")
        assert report is not None
        assert report.failures[0].code == "KNR4044"
        assert b.get("ConfigMap", "a") is None


async def test_a_hook_runs_once_per_bundle_also_across_a_restart(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bundle = shop(config_map("a", x="1"), pre("migrate"))
        b.assign(bundle)
        await b.state("shop", AppState.HEALTHY)
        ran = find(b, "migrate")
        b.cluster.edit(("", "ConfigMap", "shop", "a"), {"data": {"x": "9"}}, "kubectl-edit")
        await b.eventually(lambda: (f := b.get("ConfigMap", "a")) is not None and f["data"] == {"x": "1"})
        assert find(b, "migrate") == ran
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)
    async with bench(tmp_path, MemoryHub("c1"), generation=1) as b:
        b.cluster.remove(("", "ConfigMap", "shop", "a"))
        await b.eventually(lambda: b.get("ConfigMap", "a") is not None)
        assert find(b, "migrate") == ran
        apps = b.assign(shop(config_map("a", x="2"), pre("migrate")))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        again = find(b, "migrate")
        assert ran is not None
        assert again is not None
        assert again["metadata"]["uid"] != ran["metadata"]["uid"]


async def test_a_restart_in_the_middle_of_a_hook_goes_on_waiting_for_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(shop(config_map("a"), pre("migrate", fate="never-ready")))
        await b.eventually(lambda: find(b, "migrate") is not None)
        ran = find(b, "migrate")
        await b.until(lambda: (r := b.hub.app("shop")) is not None and r.message.startswith("waits for hook"))
    async with bench(tmp_path, MemoryHub("c1"), generation=1) as b:
        mended = {"spec": {"template": {"metadata": {"labels": {"knarr.dev/fate": None}}}}}
        b.cluster.edit(("batch", "Job", "shop", "migrate"), mended, "somebody")
        await b.eventually(lambda: b.get("ConfigMap", "a") is not None)
        found = find(b, "migrate")
        assert ran is not None
        assert found is not None
        assert found["metadata"]["uid"] == ran["metadata"]["uid"]


async def test_delete_policies(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        succeeded = helm("gone", "pre-install", **{"hook-delete-policy": "hook-succeeded"})
        failed = helm("failed", "post-install", **{"hook-delete-policy": "hook-failed"})
        failed["spec"]["template"]["metadata"] = {"labels": {"knarr.dev/fate": "failed"}}
        b.assign(shop(config_map("a"), succeeded, helm("stays", "pre-install"), failed))
        await b.state("shop", AppState.FAILED)
        await b.eventually(lambda: find(b, "gone") is None and find(b, "failed") is None)
        assert find(b, "stays") is not None
        assert (r := b.hub.app("shop")) is not None
        assert r.failures[0].object_id == "batch/Job/shop/failed"


async def test_a_hook_that_leaves_the_bundle_leaves_the_cluster(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(shop(config_map("a"), pre("migrate"), post("notify")))
        await b.state("shop", AppState.HEALTHY)
        apps = b.assign(shop(config_map("a"), post("notify")))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        await b.eventually(lambda: find(b, "migrate") is None)
        assert find(b, "notify") is not None
        b.assign(tombstones=("shop",), approvals=(b.assigner.removal("shop"),))
        await b.state("shop", AppState.REMOVED)
        assert find(b, "notify") is None


async def test_a_job_that_an_older_agent_ran_is_replaced_by_the_next_run(tmp_path: Path) -> None:
    """Its mark is no stamp, but it was recorded, and Jobs were always created anew."""
    async with bench(tmp_path) as b:
        b.assign(shop(config_map("a"), pre("migrate")))
        await b.state("shop", AppState.HEALTHY)
        first = find(b, "migrate")
        assert first is not None
        run = first["metadata"]["annotations"]["knarr.dev/hook-run"].rpartition(".")[0]
        unstamped = {"metadata": {"annotations": {"knarr.dev/hook-run": run}}}
        b.cluster.edit(("batch", "Job", "shop", "migrate"), unstamped, "knarr-before")
        apps = b.assign(shop(config_map("a", x="2"), pre("migrate")))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        second = find(b, "migrate")
        assert second is not None
        assert second["metadata"]["uid"] != first["metadata"]["uid"]


def test_a_stamp_is_of_one_object_and_one_run_and_one_agent() -> None:
    run, identity = f"{'ab' * 16}.{Phase.PRE.value}", ObjectId("/ConfigMap/shop/a")
    made = stamp(b"secret", identity, run)
    assert is_stamp(b"secret", identity, made)
    assert not is_stamp(b"another", identity, made)
    assert not is_stamp(b"secret", ObjectId("/ConfigMap/shop/b"), made)
    assert not is_stamp(b"secret", identity, made.replace("ab", "ba", 1))
    assert not any(is_stamp(b"secret", identity, mark) for mark in ("", ".", run, f"{run}.", "\u00e9.\u00e9"))


async def test_somebody_elses_object_is_no_hook_of_ours(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.cluster.create_namespace("shop")
        theirs = job("migrate")
        b.cluster.objects.store(
            ("batch", "Job", "shop", "migrate"), {**theirs, "metadata": {**theirs["metadata"], "uid": "theirs"}}, None
        )
        b.assign(shop(config_map("a"), pre("migrate")))
        await b.state("shop", AppState.FAILED)
        assert (r := b.hub.app("shop")) is not None
        assert r.failures[0].code == "KNR4022"
        found = find(b, "migrate")
        assert found is not None
        assert found["metadata"]["uid"] == "theirs"


async def test_a_dry_run_shows_the_hooks_and_runs_none(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        app = b.prepared(shop(config_map("a"), pre("migrate"), post("notify")))
        b.assign(dry_runs=(DryRun(request_id="q", app=app),))
        await b.until(lambda: "plan q" in b.hub.reports)
        report = b.hub.reports["plan q"]
        assert isinstance(report, PlanReport)
        assert [(s.action, s.object_id.rpartition("/")[2]) for s in report.steps] == [
            (StepAction.HOOK, "migrate"),
            (StepAction.CREATE, "a"),
            (StepAction.HOOK, "notify"),
        ]
        assert find(b, "migrate") is None
