"""Objects that an app has, or that somebody else has, written as hooks: a hook's policy deletes none of them (I2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knarr.bundle.bounds import Bounds
from knarr.bundle.packing import Bundle, pack
from knarr.pipeline.assignment import Approval, DryRun
from knarr.pipeline.digest import sha256
from knarr.pipeline.report import AppState, PlanReport, StepAction
from knarr.testkit.agent_bench import Bench, bench, config_map
from knarr.testkit.agent_hub import MemoryHub, bundle_of

Object = dict[str, Any]
GONE_WHEN_DONE = {"knarr.dev/hook": "post-apply", "knarr.dev/hook-delete-policy": "hook-succeeded"}
HELMS_DEFAULT = {"helm.sh/hook": "pre-upgrade,pre-install"}  # and with it before-hook-creation
WORDS = {"post-apply, hook-succeeded": GONE_WHEN_DONE, "Helm's before-hook-creation": HELMS_DEFAULT}


def annotated(manifest: Object, annotations: dict[str, str]) -> Object:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def shop(*objects: Object, **policy: Any) -> Bundle:
    return bundle_of("shop", *objects, namespace="shop", **policy)


def maps(count: int) -> list[Object]:
    return [config_map(f"n{i}", x="1") for i in range(count)]


def claim(name: str) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }


def place(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def uids(b: Bench) -> dict[str, str]:
    """Everything in the cluster, by UID."""
    found = {"/".join(key): b.cluster.objects.get(key) for key in list(b.cluster.objects.found)}
    return {name: o["metadata"]["uid"] for name, o in found.items() if o is not None}


async def unharmed(b: Bench, before: dict[str, str]) -> None:
    """All that was there is there, the very same objects."""
    after = uids(b)
    assert {name: after.get(name) for name in before} == before


def codes(b: Bench, app: str = "shop") -> set[str]:
    report = b.hub.app(app)
    assert report is not None
    return {f.code for f in report.failures}


@pytest.mark.parametrize("words", WORDS)
async def test_ten_config_maps_become_hooks(tmp_path: Path, words: str) -> None:
    """Done: ten of twelve ConfigMaps annotated as hooks in one commit. They count as lost, and wait for an approval."""
    async with bench(tmp_path) as b:
        b.assign(shop(*maps(12)))
        await b.state("shop", AppState.HEALTHY)
        before = uids(b)
        turned = [annotated(m, WORDS[words]) for m in maps(10)]
        apps = b.assign(shop(*turned, *maps(12)[10:]))
        await b.state("shop", AppState.HELD, apps["shop"].digest)
        assert codes(b) == {"KNR4030"}
        await unharmed(b, before)
        report = b.hub.app("shop")
        assert report is not None
        assert report.object_count == 12

        b.assign(shop(*turned, *maps(12)[10:]), approvals=(Approval(app="shop", digest=apps["shop"].digest),))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        report = b.hub.app("shop")
        assert report is not None
        assert report.object_count == 2
        await unharmed(b, {k: v for k, v in before.items() if k.rpartition("/n")[2] not in set(map(str, range(10)))})


async def test_an_annotation_over_everything_makes_hooks_of_all(tmp_path: Path) -> None:
    """Done by accident: `commonAnnotations: {helm.sh/hook: pre-upgrade}`. Nothing is deleted, and it is told."""
    async with bench(tmp_path) as b:
        objects = [place("data"), claim("db"), *maps(10)]
        b.assign(shop(*objects))
        await b.until(lambda: (r := b.hub.app("shop")) is not None and r.applied_at_ms > 0)
        before = uids(b)
        apps = b.assign(shop(*(annotated(o, {"helm.sh/hook": "pre-upgrade"}) for o in objects)))
        await b.state("shop", AppState.FAILED, apps["shop"].digest)
        assert "KNR4034" in codes(b)
        await unharmed(b, before)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("what", ["a claim", "a namespace"])
async def test_a_protected_object_becomes_a_hook(tmp_path: Path, words: str, what: str) -> None:
    """Done: a PVC, a Namespace with a delete policy. Refused by number, and its leaving waits as a protected one."""
    async with bench(tmp_path) as b:
        one = claim("db") if what == "a claim" else place("data")
        b.assign(shop(one, *maps(10)))
        await b.until(lambda: (r := b.hub.app("shop")) is not None and r.applied_at_ms > 0)
        before = uids(b)
        turned = shop(annotated(one, WORDS[words]), *maps(10))
        apps = b.assign(turned)
        await b.state("shop", AppState.FAILED, apps["shop"].digest)
        assert "KNR4034" in codes(b)
        report = b.hub.app("shop")
        assert report is not None
        assert report.held_digests == (apps["shop"].digest,)
        await unharmed(b, before)
        assert report.object_count == 11


async def test_hooks_in_slices(tmp_path: Path) -> None:
    """Done: two of ten objects turned into hooks, and two more. What was lost before counts along."""
    async with bench(tmp_path) as b:
        b.assign(shop(*maps(10)))
        await b.state("shop", AppState.HEALTHY)
        first = [annotated(m, HELMS_DEFAULT) for m in maps(2)]
        apps = b.assign(shop(*first, *maps(10)[2:]))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        before = uids(b)
        apps = b.assign(shop(*first, *(annotated(m, HELMS_DEFAULT) for m in maps(4)[2:]), *maps(10)[4:]))
        await b.state("shop", AppState.HELD, apps["shop"].digest)
        await unharmed(b, {k: v for k, v in before.items() if not k.endswith(("/n0", "/n1"))})


async def test_a_kept_object_becomes_a_hook(tmp_path: Path) -> None:
    """Done: an object that prune may not touch (its annotation, or an app that never prunes) turned into a hook."""
    async with bench(tmp_path) as b:
        kept = annotated(config_map("kept"), {"knarr.dev/prune": "keep"})
        b.assign(shop(kept, *maps(10)))
        await b.state("shop", AppState.HEALTHY)
        before = uids(b)
        apps = b.assign(shop(annotated(config_map("kept"), {"knarr.dev/prune": "keep", **GONE_WHEN_DONE}), *maps(10)))
        await b.state("shop", AppState.FAILED, apps["shop"].digest)
        assert codes(b) == {"KNR4033"}
        await unharmed(b, before)
        apps = b.assign(shop(annotated(config_map("kept"), GONE_WHEN_DONE), *maps(10), prune=False))
        await b.state("shop", AppState.FAILED, apps["shop"].digest)
        await unharmed(b, before)


async def test_a_hook_of_an_object_that_another_app_has(tmp_path: Path) -> None:
    """Done: a hook with the name of another app's ConfigMap, also of one that is assigned no more."""
    async with bench(tmp_path) as b:
        bank = bundle_of("bank", *maps(3), namespace="shop")
        b.assign(bank)
        await b.state("bank", AppState.HEALTHY)
        before = uids(b)
        stolen = shop(annotated(config_map("n0"), {**GONE_WHEN_DONE, "helm.sh/hook-delete-policy": "hook-succeeded"}))
        apps = b.assign(bank, stolen)
        await b.state("shop", AppState.FAILED, apps["shop"].digest)
        assert codes(b) == {"KNR4021"}
        b.assign(stolen)
        await b.until(lambda: "KNR4022" in codes(b))
        await unharmed(b, before)


async def test_objects_that_move_into_another_app_as_hooks(tmp_path: Path) -> None:
    """Done: ten of twelve objects leave their app and are hooks of another one in the same commit. That is no move."""
    async with bench(tmp_path) as b:
        b.assign(shop(*maps(12)), bundle_of("bank", config_map("b"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        before = uids(b)
        hooks = [annotated(m, GONE_WHEN_DONE) for m in maps(10)]
        bank = bundle_of("bank", config_map("b"), *hooks, namespace="shop")
        apps = b.assign(shop(*maps(12)[10:]), bank)
        await b.state("shop", AppState.HELD, apps["shop"].digest)
        await b.state("bank", AppState.FAILED, apps["bank"].digest)
        await unharmed(b, before)
        approval = Approval(app="shop", digest=apps["shop"].digest)
        b.assign(shop(*maps(12)[10:]), bank, approvals=(approval,))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        await b.eventually(lambda: b.get("ConfigMap", "n0") is None)


async def test_a_hook_of_an_object_that_lies_around(tmp_path: Path) -> None:
    """Done: the app removed with its objects kept, and back with hooks of their names. No run made them."""
    async with bench(tmp_path) as b:
        b.assign(shop(*maps(3)))
        await b.state("shop", AppState.HEALTHY)
        before = uids(b)
        b.assign(tombstones=("shop",), keep_objects=True)
        await b.state("shop", AppState.REMOVED)
        for words in WORDS.values():
            apps = b.assign(shop(*(annotated(m, words) for m in maps(3))))
            await b.state("shop", AppState.FAILED, apps["shop"].digest)
            assert codes(b) == {"KNR4038"}
            await unharmed(b, before)


async def test_a_run_s_mark_written_into_git(tmp_path: Path) -> None:
    """Done: an ordinary object that says in Git that it was made by the run of the bundle to come."""
    turned = shop(*(annotated(m, GONE_WHEN_DONE) for m in maps(2)), *maps(10)[2:])
    run = f"{sha256(pack(turned)).hex()[:32]}.post-apply"
    async with bench(tmp_path) as b:
        forged = [annotated(m, {"knarr.dev/hook-run": run}) for m in maps(2)]
        apps = b.assign(shop(*forged, *maps(10)[2:]))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        assert (found := b.get("ConfigMap", "n0")) is not None
        assert "annotations" not in found["metadata"] or "knarr.dev/hook-run" not in found["metadata"]["annotations"]
        before = uids(b)
        b.assign(tombstones=("shop",), keep_objects=True)
        await b.state("shop", AppState.REMOVED)
        for name in ("n0", "n1"):  # and by somebody with rights in the cluster
            mark = {"metadata": {"annotations": {"knarr.dev/hook-run": run}}}
            b.cluster.edit(("", "ConfigMap", "shop", name), mark, "kubectl-edit")
        apps = b.assign(turned)
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        await unharmed(b, before)


async def test_a_hook_in_the_cluster_s_own_namespace(tmp_path: Path) -> None:
    """Done: a hook with the name of an object of kube-system. Out of bounds; where allowed, still not its to delete."""
    async with bench(tmp_path) as b:
        theirs = config_map("coredns", "kube-system", x="theirs")
        theirs["metadata"] |= {"uid": "theirs", "labels": {"knarr.dev/app": "shop"}}
        b.cluster.objects.store(("", "ConfigMap", "kube-system", "coredns"), theirs, None)
        before = uids(b)
        hook = annotated(config_map("coredns", "kube-system"), GONE_WHEN_DONE)
        b.assign(shop(config_map("a"), hook))
        await b.state("shop", AppState.FAILED)
        assert codes(b) == {"KNR4035"}
        assert b.get("ConfigMap", "a") is not None
        apps = b.assign(shop(config_map("a"), hook, bounds=Bounds(system_namespaces=("kube-system",))))
        await b.state("shop", AppState.FAILED, apps["shop"].digest)
        assert codes(b) == {"KNR4038"}
        await unharmed(b, before)


async def test_a_hook_s_own_object_still_goes_as_its_policy_says(tmp_path: Path) -> None:
    """What a run created is the hook's: it goes with success, before the next run, also after a restart."""
    async with bench(tmp_path) as b:
        gone = annotated(config_map("gone"), GONE_WHEN_DONE)
        again = annotated(config_map("again"), HELMS_DEFAULT)
        b.assign(shop(config_map("a", x="1"), gone, again))
        await b.state("shop", AppState.HEALTHY)
        await b.eventually(lambda: b.get("ConfigMap", "gone") is None)
        first = b.get("ConfigMap", "again")
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)
    async with bench(tmp_path, MemoryHub("c1"), generation=1) as b:
        apps = b.assign(shop(config_map("a", x="2"), gone, again))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        second = b.get("ConfigMap", "again")
        assert first is not None
        assert second is not None
        assert first["metadata"]["uid"] != second["metadata"]["uid"]
        apps = b.assign(shop(config_map("a", x="2")))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        await b.eventually(lambda: b.get("ConfigMap", "again") is None)


async def test_a_dry_run_tells_that_hooks_are_held(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        now = shop(*maps(12))
        b.assign(now)
        await b.state("shop", AppState.HEALTHY)
        asked = b.prepared(shop(*(annotated(m, GONE_WHEN_DONE) for m in maps(10)), *maps(12)[10:]))
        b.assign(now, dry_runs=(DryRun(request_id="q", app=asked),))
        await b.until(lambda: "plan q" in b.hub.reports)
        report = b.hub.reports["plan q"]
        assert isinstance(report, PlanReport)
        assert [f.code for f in report.failures] == ["KNR4030"]
        assert not [s for s in report.steps if s.action in (StepAction.HOOK, StepAction.PRUNE)]
