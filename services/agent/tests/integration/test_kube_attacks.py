"""Ways past the agent's protection, on a real API server: hooks, recreation, adoption, other people's namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.bundle.bounds import Bounds
from knarr.bundle.header import Takeover
from knarr.local.kube import KubeCluster
from knarr.pipeline.assignment import Approval, DryRun
from knarr.pipeline.report import AppState, PlanReport, StepAction
from knarr.testkit.agent_bench import config_map
from knarr.testkit.kube_bench import Hand, KubeBench, kube_bench

pytestmark = pytest.mark.kube
Object = dict[str, Any]
SPACES = "/api/v1/namespaces"
POLICIES = {
    "post-apply, hook-succeeded": {"knarr.dev/hook": "post-apply", "knarr.dev/hook-delete-policy": "hook-succeeded"},
    "Helm's default": {"helm.sh/hook": "pre-install,pre-upgrade"},
}


def annotated(manifest: Object, annotations: dict[str, str]) -> Object:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def place(name: str, **labels: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def claim(name: str, namespace: str) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


async def uid(hand: Hand, plural: str, name: str) -> str:
    found = await hand.get(plural, name)
    assert found is not None, f"{plural}/{name} is gone"
    assert "deletionTimestamp" not in found["metadata"]
    return str(found["metadata"]["uid"])


async def brought(b: KubeBench, *objects: Object, **policy: Any) -> None:
    b.assign(b.bundle("shop", *objects, **policy))
    await b.until("shop", lambda r: r.applied_at_ms > 0 and not r.failures)


@pytest.mark.parametrize("words", POLICIES)
async def test_objects_that_are_there_become_hooks(kube_cluster: KubeCluster, namespace: str, words: str) -> None:
    """Done: a claim, a Namespace and ten ConfigMaps of an app annotated as hooks in one commit. Nothing goes."""
    policy = POLICIES[words]
    async with kube_bench(kube_cluster, namespace) as b:
        maps = [config_map(f"n{i}", namespace) for i in range(10)]
        protected = [claim("db", namespace), place(f"{namespace}-data")]
        await brought(b, *maps, *protected)
        before = [await uid(b.hand, "configmaps", f"n{i}") for i in range(10)]
        kept = (await uid(b.hand, "persistentvolumeclaims", "db"), await uid(b.hand, SPACES, f"{namespace}-data"))
        b.assign(b.bundle("shop", *(annotated(m, policy) for m in maps), *protected))
        report = await b.report("shop", AppState.HELD)
        assert report.failures[0].code == "KNR4030"
        b.assign(b.bundle("shop", *maps, *(annotated(o, policy) for o in protected)))
        await b.failure("shop", "KNR4034")
        assert [await uid(b.hand, "configmaps", f"n{i}") for i in range(10)] == before
        assert kept == (
            await uid(b.hand, "persistentvolumeclaims", "db"),
            await uid(b.hand, SPACES, f"{namespace}-data"),
        )


async def test_a_hook_s_own_objects_come_and_go(kube_cluster: KubeCluster, namespace: str) -> None:
    """The stamp survives the server: what a run made goes before the next run, and when it leaves the bundle."""
    policy = {"helm.sh/hook": "pre-install,pre-upgrade"}
    async with kube_bench(kube_cluster, namespace) as b:
        hook = annotated(config_map("hook", namespace, x="1"), policy)
        await brought(b, config_map("a", namespace, x="1"), hook)
        first = await uid(b.hand, "configmaps", "hook")
        await brought(b, config_map("a", namespace, x="2"), hook)
        assert await uid(b.hand, "configmaps", "hook") != first
        await brought(b, config_map("a", namespace, x="2"))
        await b.hand.until("configmaps", "hook", lambda found: found is None)


async def test_recreate_of_everything(kube_cluster: KubeCluster, namespace: str) -> None:
    """Done: `recreate: true` and a change of an immutable field in all of ten objects. Two may go unasked."""

    def fixed(i: int, x: str) -> Object:
        return {**config_map(f"n{i}", namespace, x=x), "immutable": True}

    async with kube_bench(kube_cluster, namespace) as b:
        await brought(b, *(fixed(i, "1") for i in range(10)), recreate=True)
        before = [await uid(b.hand, "configmaps", f"n{i}") for i in range(10)]
        wanted = b.bundle("shop", *(fixed(i, "2") for i in range(10)), recreate=True)
        b.assign(wanted, dry_runs=(DryRun(request_id="q", app=b.prepared(wanted)),))
        report = await b.report("shop", AppState.HELD)
        await b.hub.until(lambda: "plan q" in b.hub.reports)
        assert isinstance(plan := b.hub.reports["plan q"], PlanReport)
        assert [f.code for f in plan.failures] == ["KNR4030"]
        assert StepAction.RECREATE in {s.action for s in plan.steps}
        assert report.failures[0].code == "KNR4030"
        after = [await uid(b.hand, "configmaps", f"n{i}") for i in range(10)]
        assert sum(one != other for one, other in zip(before, after, strict=True)) == 2
        # In slices it is the same: what was recreated lately counts along.
        b.assign(b.bundle("shop", *(fixed(i, "3" if i == 9 else "2") for i in range(10)), recreate=True))
        await b.report("shop", AppState.HELD)
        assert [await uid(b.hand, "configmaps", f"n{i}") for i in range(10)] == after
        digest = b.apps["shop"].digest
        b.assign(
            b.bundle("shop", *(fixed(i, "3" if i == 9 else "2") for i in range(10)), recreate=True),
            approvals=(Approval(app="shop", digest=digest),),
        )
        await b.healthy("shop")


async def test_an_object_that_is_kept_is_not_recreated(kube_cluster: KubeCluster, namespace: str) -> None:
    """Done: an immutable change of an object that says in its annotation that it is never deleted."""

    def fixed(x: str) -> Object:
        kept = annotated(config_map("kept", namespace, x=x), {"knarr.dev/prune": "keep"})
        return {**kept, "immutable": True}

    async with kube_bench(kube_cluster, namespace) as b:
        await brought(b, fixed("1"), recreate=True)
        before = await uid(b.hand, "configmaps", "kept")
        b.assign(b.bundle("shop", fixed("2"), recreate=True))
        await b.failure("shop", "KNR4020")
        assert await uid(b.hand, "configmaps", "kept") == before


async def test_an_existing_namespace_in_a_bundle(kube_cluster: KubeCluster, namespace: str) -> None:
    """Done: somebody's Namespace adopted by an app that takes over always. One made for the app is no such."""
    theirs = f"{namespace}-theirs"
    hand = Hand(kube_cluster, namespace)
    await hand.create(SPACES, place(theirs, team="bank"))
    async with kube_bench(kube_cluster, namespace) as b:
        made = f"{namespace}-made"
        await brought(b, config_map("a", made), namespace=made)
        objects = (place(theirs, team="shop"), place(made), config_map("a", made), config_map("b", theirs))
        b.assign(b.bundle("shop", *objects, namespace=made, takeover=Takeover.ALWAYS))
        failure = await b.failure("shop", "KNR4036")
        assert failure.object_id == f"/Namespace//{theirs}"
        await hand.until(f"{SPACES}/{theirs}/configmaps", "b", lambda f: f is not None)
        found = await hand.get(SPACES, theirs)
        assert found is not None
        assert found["metadata"]["labels"]["team"] == "bank"
        bounds = Bounds(adopt_namespaces=True)
        b.assign(b.bundle("shop", *objects, namespace=made, takeover=Takeover.ALWAYS, bounds=bounds))
        await b.healthy("shop")


async def test_the_account_of_the_source_wins_over_the_app_s(kube_cluster: KubeCluster, namespace: str) -> None:
    """Done: an app of a source with a service account that names none, or one with more rights."""
    hand = Hand(kube_cluster, namespace)
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create", "patch"]}]
    subject = {"kind": "ServiceAccount", "name": "team", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "team"}
    await hand.create("serviceaccounts", {"metadata": {"name": "team"}})
    await hand.create("roles", {"metadata": {"name": "team"}, "rules": rules})
    await hand.create("rolebindings", {"metadata": {"name": "team"}, "roleRef": role, "subjects": [subject]})
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}}
    async with kube_bench(kube_cluster, namespace) as b:
        for account in (None, "more"):
            objects = (config_map("a", namespace), secret)
            bounds = Bounds(source="team", service_account="team")
            b.assign(b.bundle("shop", *objects, service_account=account, bounds=bounds))
            failure = await b.failure("shop", "KNR4011")
            assert f"{namespace}:team" in failure.message
            assert await hand.get("secrets", "s") is None
            assert await hand.get("configmaps", "a") is not None
