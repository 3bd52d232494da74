"""Objects out of a source's bounds in a bundle that is signed all the same: the agent refuses them by itself (I5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knarr.bundle.bounds import Bounds
from knarr.bundle.header import Takeover
from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import DryRun
from knarr.pipeline.report import AppState, PlanReport
from knarr.testkit.agent_bench import Bench, bench, config_map
from knarr.testkit.agent_hub import bundle_of

Object = dict[str, Any]
OWN = "knarr-system"


def shop(*objects: Object, **policy: Any) -> Bundle:
    return bundle_of("shop", *objects, **{"namespace": "shop", **policy})


def place(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def hook(manifest: Object) -> Object:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": {"knarr.dev/hook": "post-apply"}}}


async def refused(b: Bench, code: str, app: str = "shop") -> set[str]:
    """The objects that failed with that number, once the app failed with what is assigned."""
    generation = b.assigner.generation
    await b.until(
        lambda: (r := b.hub.app(app)) is not None and r.generation == generation and r.state is AppState.FAILED
    )
    report = b.hub.app(app)
    assert report is not None
    assert {f.code for f in report.failures} == {code}, report.failures
    return {f.object_id for f in report.failures}


@pytest.mark.parametrize("where", [OWN, "kube-system", "kube-public"])
async def test_an_object_in_a_namespace_that_is_nobody_s(tmp_path: Path, where: str) -> None:
    """Done: a ConfigMap applied to, and one adopted in, the agent's own namespace and the cluster's own."""
    async with bench(tmp_path) as b:
        await b.cluster.create_namespace(where)
        theirs = {**config_map("there", where, x="theirs")}
        theirs["metadata"] |= {"uid": "theirs"}
        b.cluster.objects.store(("", "ConfigMap", where, "there"), theirs, None)
        new, there = config_map("new", where), config_map("there", where, x="ours")
        b.assign(shop(new, there, config_map("a"), takeover=Takeover.ALWAYS))
        found = await refused(b, "KNR4035")
        assert found == {f"/ConfigMap/{where}/new", f"/ConfigMap/{where}/there"}
        assert b.get("ConfigMap", "new", where) is None
        assert (kept := b.get("ConfigMap", "there", where)) is not None
        assert kept["data"] == {"x": "theirs"}
        assert b.get("ConfigMap", "a") is not None
        b.assign(shop(hook(new), config_map("a")))
        assert await refused(b, "KNR4035") == {f"/ConfigMap/{where}/new"}
        assert b.get("ConfigMap", "new", where) is None


async def test_the_agent_s_own_namespace_as_an_object_or_as_the_app_s(tmp_path: Path) -> None:
    """Done: the Namespace itself, adopted with every right; an app that lies in it."""
    everything = Bounds(adopt_namespaces=True, system_namespaces=("*",), namespaces=("*",))
    async with bench(tmp_path) as b:
        b.assign(shop(place(OWN), place("kube-node-lease"), config_map("a"), bounds=everything))
        assert await refused(b, "KNR4035") == {f"/Namespace//{OWN}"}
        b.assign(shop(config_map("b", OWN), namespace=OWN, bounds=everything))
        await refused(b, "KNR4035")
        assert b.cluster.objects.get(("", "Namespace", "", OWN)) is None


@pytest.mark.parametrize("bounds", [Bounds(), Bounds(service_account="agent")])
async def test_rights_of_an_account_in_the_agent_s_own_namespace(tmp_path: Path, bounds: Bounds) -> None:
    """Done: `serviceAccount` of an app that lies in the agent's namespace, or in kube-system: nearly every right."""
    async with bench(tmp_path) as b:
        for where in (OWN, "kube-system"):
            account = None if bounds.service_account else "agent"
            b.assign(shop(config_map("a"), namespace=where, service_account=account, bounds=bounds))
            await b.until(lambda: (r := b.hub.app("shop")) is not None and bool(r.failures))
            report = b.hub.app("shop")
            assert report is not None
            assert [f.code for f in report.failures] == ["KNR4035"]
            assert b.get("ConfigMap", "a") is None


async def test_a_source_that_may_touch_the_cluster_s_own_namespace(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bounds = Bounds(system_namespaces=("kube-system",))
        apps = b.assign(shop(config_map("dns", "kube-system"), bounds=bounds))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        assert b.get("ConfigMap", "dns", "kube-system") is not None


async def test_one_object_out_of_bounds_stops_no_other(tmp_path: Path) -> None:
    """Done: a namespace, a kind, a kind of a whole cluster that the source was not given."""
    bounds = Bounds(source="team", namespaces=("shop", "shop-*"), kinds=("ConfigMap",), cluster_kinds=())
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "shop"}}
    async with bench(tmp_path) as b:
        objects = (config_map("a"), config_map("b", "bank"), role, secret, place("shop-b"))
        b.assign(shop(*objects, bounds=bounds))
        assert await refused(b, "KNR4035") == {
            "/ConfigMap/bank/b",
            "rbac.authorization.k8s.io/ClusterRole//all",
            "/Secret/shop/s",
            "/Namespace//shop-b",
        }
        assert b.get("ConfigMap", "a") is not None
        assert b.cluster.objects.get(("", "Namespace", "", "bank")) is None


async def test_the_namespace_of_the_app_is_not_created_out_of_bounds(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bounds = Bounds(source="team", namespaces=("shop",))
        b.assign(shop(config_map("a", "bank"), namespace="bank", bounds=bounds))
        await refused(b, "KNR4035")
        assert b.cluster.objects.get(("", "Namespace", "", "bank")) is None


async def test_bounds_that_became_narrower_change_nothing_and_delete_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(shop(config_map("a", x="1"), config_map("b", "bank", x="1"), place("bank")))
        await b.state("shop", AppState.HEALTHY)
        narrow = Bounds(source="team", namespaces=("shop",), cluster_kinds=())
        b.assign(shop(config_map("a", x="2"), config_map("b", "bank", x="2"), place("bank"), bounds=narrow))
        await refused(b, "KNR4035")
        assert (a := b.get("ConfigMap", "a")) is not None
        assert a["data"] == {"x": "2"}
        assert (kept := b.get("ConfigMap", "b", "bank")) is not None
        assert kept["data"] == {"x": "1"}


async def test_an_existing_namespace_is_adopted(tmp_path: Path) -> None:
    """Done: a Namespace of somebody else in a bundle, whatever the app's takeover. It stays as it is, told by number;
    what lies in it is applied, what leaves is pruned, hooks run; and the source may be given the right."""
    async with bench(tmp_path) as b:
        theirs = {**place("theirs", team="bank"), "status": {"phase": "Active"}}
        theirs["metadata"] |= {"uid": "theirs", "creationTimestamp": "2026-01-01T00:00:00Z"}
        b.cluster.objects.store(("", "Namespace", "", "theirs"), theirs, None)
        ours, rest = place("theirs", team="shop"), [config_map(f"k{i}") for i in range(9)]
        b.assign(shop(ours, config_map("a", "theirs"), config_map("old"), *rest, takeover=Takeover.ALWAYS))
        assert await refused(b, "KNR4036") == {"/Namespace//theirs"}
        assert (report := b.hub.app("shop")) is not None
        assert "bounds.adoptNamespaces: true" in report.failures[0].message
        assert b.get("ConfigMap", "a", "theirs") is not None
        more = (config_map("a", "theirs"), *rest, hook(config_map("after")))
        b.assign(shop(ours, *more, takeover=Takeover.ALWAYS))
        await refused(b, "KNR4036")
        await b.eventually(lambda: b.get("ConfigMap", "old") is None and b.get("ConfigMap", "after") is not None)
        found = b.cluster.objects.get(("", "Namespace", "", "theirs"))
        assert found is not None
        assert found["metadata"]["labels"] == {"team": "bank"}

        asked = b.prepared(shop(ours, *more, takeover=Takeover.ALWAYS))
        allowed = shop(ours, *more, takeover=Takeover.ALWAYS, bounds=Bounds(adopt_namespaces=True))
        apps = b.assign(allowed, dry_runs=(DryRun(request_id="q", app=asked),))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        found = b.cluster.objects.get(("", "Namespace", "", "theirs"))
        assert found is not None
        assert found["metadata"]["labels"]["knarr.dev/app"] == "shop"
        await b.until(lambda: "plan q" in b.hub.reports)
        assert isinstance(plan := b.hub.reports["plan q"], PlanReport)
        assert plan.cluster == "c1"


async def test_a_namespace_that_somebody_makes_between_look_and_apply(tmp_path: Path) -> None:
    """Done: the Namespace came after the agent had looked for it. Applying would have adopted it without a word."""
    async with bench(tmp_path) as b:
        theirs = {**place("late", team="bank"), "status": {"phase": "Active"}}
        theirs["metadata"] |= {"uid": "theirs", "creationTimestamp": "2026-01-01T00:00:00Z"}

        def hurry(change: Any) -> None:
            if change.key[3] == "first" and b.cluster.objects.get(("", "Namespace", "", "late")) is None:
                b.cluster.objects.store(("", "Namespace", "", "late"), theirs, None)

        b.cluster.objects.listeners.append(hurry)
        first = config_map("first")
        first["metadata"]["annotations"] = {"knarr.dev/wave": "-1"}
        b.assign(shop(first, place("late"), config_map("a")))
        assert await refused(b, "KNR4036") == {"/Namespace//late"}
        found = b.cluster.objects.get(("", "Namespace", "", "late"))
        assert found is not None
        assert found["metadata"]["labels"] == {"team": "bank"}


async def test_a_namespace_that_was_made_for_an_app_is_nobody_else_s(tmp_path: Path) -> None:
    """The agent made it because objects lie in it: a bundle may bring it later, without a further right."""
    async with bench(tmp_path) as b:
        b.assign(shop(config_map("a")))
        await b.state("shop", AppState.HEALTHY)
        apps = b.assign(shop(place("shop"), config_map("a")))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)


async def test_a_label_on_somebody_else_s_object_is_no_transfer(tmp_path: Path) -> None:
    """Done: another app's name in the label of an object that no app applied. The takeover policy decides."""
    async with bench(tmp_path) as b:
        theirs = config_map("a", x="theirs")
        theirs["metadata"] |= {"uid": "theirs", "labels": {"knarr.dev/app": "bank"}}
        await b.cluster.create_namespace("shop")
        b.cluster.objects.store(("", "ConfigMap", "shop", "a"), theirs, None)
        b.assign(shop(config_map("a", x="ours"), takeover=Takeover.NEVER))
        assert await refused(b, "KNR4022") == {"/ConfigMap/shop/a"}
        assert (kept := b.get("ConfigMap", "a")) is not None
        assert kept["data"] == {"x": "theirs"}
