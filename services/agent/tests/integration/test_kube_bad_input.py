"""One bad object of each sort: it alone fails, with number, cause and next step; the rest of the app is applied."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from knarr.bundle.header import Conflicts
from knarr.local.kube import KubeCluster
from knarr.pipeline.errors import CATALOGUE
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import config_map, deployment
from knarr.testkit.kube_bench import Hand, kube_bench

pytestmark = pytest.mark.kube
Object = dict[str, Any]


def thing(kind: str, name: str, namespace: str, **body: Any) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, **body}


def with_environment(manifest: Object, value: str) -> Object:
    manifest["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "LARGE", "value": value}]
    return manifest


async def nothing(_hand: Hand) -> None:
    """The cluster is as it is."""


async def a_quota_without_room(hand: Hand) -> None:
    await hand.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"count/secrets": "0"}}})
    await hand.status("resourcequotas", "q", {"hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"}})


async def a_policy_that_denies_secrets(hand: Hand) -> None:
    await hand.deny("CREATE", "secrets", "false", "no secrets in this house")
    path, deadline = hand.path("secrets") + "?dryRun=All", time.monotonic() + 20
    while (await hand.kube.request("POST", path, {"metadata": {"name": "trial"}}))[0] == 201:
        assert time.monotonic() < deadline, "the policy is not in force"
        await asyncio.sleep(0.02)


async def a_field_of_another_applier(hand: Hand) -> None:
    await hand.apply("configmaps", config_map("bad", hand.namespace, x="theirs"), manager="operator")


@dataclass(frozen=True, kw_only=True)
class Bad:
    """`make` gives the object from the namespace; `words` must be in the message."""

    code: str
    make: Callable[[str], Object]
    words: str = ""
    before: Callable[[Hand], Awaitable[None]] = nothing


TABLE = {
    "an unknown kind": Bad(
        code="KNR4010",
        make=lambda n: {**thing("Whatever", "bad", n), "apiVersion": "no.example.com/v1"},
        words="Whatever in no.example.com/v1 is not served",
    ),
    "a version that is not served": Bad(
        code="KNR4010",
        make=lambda n: {**deployment("bad", namespace=n), "apiVersion": "apps/v1beta1"},
        words="Deployment in apps/v1beta1",
    ),
    "a field that the schema does not know": Bad(
        code="KNR4013", make=lambda n: thing("ConfigMap", "bad", n, dta={"x": "1"}), words="dta"
    ),
    "a value of the wrong type": Bad(
        code="KNR4013",
        make=lambda n: thing("Service", "bad", n, spec={"ports": [{"port": "eighty"}]}),
        words="port",
    ),
    "a value out of range": Bad(
        code="KNR4013", make=lambda n: thing("Service", "bad", n, spec={"ports": [{"port": 99999}]}), words="port"
    ),
    "a name that is too long": Bad(code="KNR4013", make=lambda n: thing("ConfigMap", "b" * 254, n), words="253"),
    "a denial by an admission policy": Bad(
        code="KNR4015",
        make=lambda n: thing("Secret", "bad", n, stringData={"x": "1"}),
        before=a_policy_that_denies_secrets,
    ),
    "a quota without room": Bad(
        code="KNR4014", make=lambda n: thing("Secret", "bad", n, stringData={"x": "1"}), before=a_quota_without_room
    ),
    "a namespace that is not there": Bad(code="KNR4016", make=lambda n: config_map("bad", f"{n}-none"), words="-none"),
    "two mebibytes that etcd does not take": Bad(
        code="KNR4028", make=lambda n: with_environment(deployment("bad", namespace=n), "x" * 2 * 2**20)
    ),
    "two mebibytes": Bad(code="KNR4028", make=lambda n: config_map("bad", n, x="x" * 2 * 2**20)),
    "an object that the app does not own": Bad(
        code="KNR4022",
        make=lambda n: config_map("bad", n, x="ours"),
        before=a_field_of_another_applier,
        words="data.x",
    ),
}


@pytest.mark.parametrize("what", sorted(TABLE))
async def test_only_the_bad_object_fails(kube_cluster: KubeCluster, namespace: str, what: str) -> None:
    bad = TABLE[what]
    await bad.before(Hand(kube_cluster, namespace))
    async with kube_bench(kube_cluster, namespace) as b:
        manifest = bad.make(namespace)
        good = [config_map(f"good{i}", namespace, x="1") for i in range(3)]
        b.assign(b.bundle("other", config_map("other", namespace)), b.bundle("shop", manifest, *good))
        failure = await b.failure("shop", bad.code)
        report = await b.report("shop", AppState.FAILED)
        assert len(report.failures) == 1, report.failures
        assert manifest["metadata"]["name"] in failure.object_id
        assert bad.words in failure.message
        assert failure.next_step == CATALOGUE[bad.code].next_step
        assert len(failure.message) < 1_000
        for name in ("good0", "good1", "good2"):
            assert await b.hand.get("configmaps", name) is not None
        await b.healthy("other")
        b.assign(b.bundle("other", config_map("other", namespace)), b.bundle("shop", *good))
        await b.healthy()


async def test_a_bad_object_prunes_nothing_and_the_app_heals_on(kube_cluster: KubeCluster, namespace: str) -> None:
    """Deletions of a bundle that is not applied whole wait: what leaves may be what the failed object replaces."""
    async with kube_bench(kube_cluster, namespace) as b:
        maps = [config_map(f"n{i}", namespace, x="1") for i in range(8)]
        b.assign(b.bundle("shop", *maps))
        await b.healthy()
        b.assign(b.bundle("shop", *maps[:7], thing("ConfigMap", "bad", namespace, dta={"x": "1"})))
        await b.failure("shop", "KNR4013")
        assert await b.hand.get("configmaps", "n7") is not None
        await b.hand.edit("configmaps", "n0", {"data": {"x": "9"}})
        await b.hand.until("configmaps", "n0", lambda f: f is not None and f["data"] == {"x": "1"})


async def test_all_errors_of_a_bundle_are_in_one_report(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        sorts = ("an unknown kind", "a field that the schema does not know", "a namespace that is not there")
        b.assign(b.bundle("shop", config_map("good", namespace), *(TABLE[s].make(namespace) for s in sorts)))
        report = await b.until("shop", lambda r: len(r.failures) == 3)
        assert {f.code for f in report.failures} == {"KNR4010", "KNR4013", "KNR4016"}
        assert report.counts is not None
        assert (report.counts.created, report.counts.failed) == (1, 3)


async def test_a_conflicting_owner_is_refused_where_the_app_says_so(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", namespace, x="1"), conflicts=Conflicts.REFUSE))
        await b.healthy()
        theirs = config_map("a", namespace, x="theirs")
        await b.hand.apply("configmaps", theirs, manager="operator", force=True)
        failure = await b.failure("shop", "KNR4023")
        assert "operator" in failure.message
        assert "theirs" not in failure.message
        found = await b.hand.get("configmaps", "a")
        assert found is not None
        assert found["data"] == {"x": "theirs"}


async def test_two_apps_that_hold_one_object(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("first", config_map("a", namespace, x="1")))
        await b.healthy()
        second = b.bundle("second", config_map("a", namespace, x="2"), config_map("b", namespace))
        b.assign(b.bundle("first", config_map("a", namespace, x="1")), second)
        failure = await b.failure("second", "KNR4021")
        assert "first" in failure.message
        found = await b.hand.get("configmaps", "a")
        assert found is not None
        assert found["data"] == {"x": "1"}
        await b.healthy("first")


async def test_apps_that_depend_on_each_other(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(
            b.bundle("one", config_map("one", namespace), depends_on=("two",)),
            b.bundle("two", config_map("two", namespace), depends_on=("one",)),
            b.bundle("aside", config_map("aside", namespace)),
        )
        await b.healthy("aside")
        await b.hub.until(
            lambda: any(f.code == "KNR4032" for a in ("one", "two") if (r := b.hub.app(a)) for f in r.failures)
        )


async def test_a_secret_s_value_is_in_no_failure(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        bad = thing("Secret", "bad", namespace, data={"password": "not base64: hunter2"})
        b.assign(b.bundle("shop", bad, thing("ConfigMap", "b", namespace, data={"x": {"hunter2": "y"}})))
        report = await b.until("shop", lambda r: len(r.failures) == 2)
        assert "hunter2" not in str([f for f in report.failures if f.object_id.startswith("/Secret/")])
