"""An app that names a service account gets that account's rights, on every path, and never the agent's."""

from __future__ import annotations

import pytest
from aiohttp import web

from knarr.agent.adapters.kubernetes import credentials
from knarr.bundle.header import Takeover
from knarr.local.kube import KubeCluster
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import config_map
from knarr.testkit.kube_bench import Hand, Object, kube_bench
from knarr.testkit.kube_proxy import kube_proxy

pytestmark = pytest.mark.kube
RULES = {"apiGroups": [""], "resources": ["configmaps"]}


def secret(name: str, namespace: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"x": "1"}}


async def limited(hand: Hand, *verbs: str) -> None:
    """A ServiceAccount that may do just this with ConfigMaps, and nothing else."""
    await hand.create("serviceaccounts", {"metadata": {"name": "limited"}})
    await hand.create("roles", {"metadata": {"name": "limited"}, "rules": [{**RULES, "verbs": list(verbs)}]})
    subject = {"kind": "ServiceAccount", "name": "limited", "namespace": hand.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"}
    await hand.create("rolebindings", {"metadata": {"name": "limited"}, "roleRef": role, "subjects": [subject]})


async def test_only_what_the_account_may_do_is_done(kube_cluster: KubeCluster, namespace: str) -> None:
    await limited(Hand(kube_cluster, namespace), "get", "list", "create", "patch")
    async with kube_bench(kube_cluster, namespace) as b:
        maps = [config_map(f"n{i}", namespace) for i in range(8)]
        b.assign(b.bundle("shop", *maps, secret("s", namespace), service_account="limited"))
        failure = await b.failure("shop", "KNR4011")
        assert "limited" in failure.message
        assert await b.hand.get("configmaps", "n7") is not None
        assert await b.hand.get("secrets", "s") is None
        b.assign(b.bundle("shop", *maps, service_account="limited"))
        await b.healthy()
        b.assign(b.bundle("shop", *maps[:7], service_account="limited"))
        failure = await b.failure("shop", "KNR4011")
        assert failure.object_id == f"/ConfigMap/{namespace}/n7"
        assert await b.hand.get("configmaps", "n7") is not None


async def test_every_request_for_the_app_names_its_account(kube_cluster: KubeCluster, namespace: str) -> None:
    """Seen from a proxy: create, adopt (dry runs, managers), heal, look, prune. Watches are the agent's own."""
    hand = Hand(kube_cluster, namespace)
    await limited(hand, "get", "list", "create", "patch", "delete")
    theirs = config_map("theirs", namespace, x="1", y="1")
    code, _ = await kube_cluster.request("POST", f"{hand.path('configmaps')}?fieldManager=helm", theirs)
    assert code == 201
    bare: list[str] = []
    borne: set[str] = set()

    def note(request: web.Request) -> None:
        if f"/namespaces/{namespace}/" not in request.path or "labelSelector" in request.query:
            return
        if request.headers.get("Impersonate-User") == f"system:serviceaccount:{namespace}:limited":
            borne.add(request.method)
        else:
            bare.append(f"{request.method} {request.path_qs}")

    async with kube_proxy(kube_cluster) as proxy:
        proxy.rule = note
        configuration = await credentials(kube_cluster.kubeconfig, "")
        configuration.host = proxy.url
        async with kube_bench(kube_cluster, namespace, configuration=configuration) as b:
            maps = [config_map(f"n{i}", namespace, x="1") for i in range(8)]
            mine = config_map("theirs", namespace, x="1")
            b.assign(b.bundle("shop", *maps, mine, service_account="limited"))
            await b.failure("shop", "KNR4022")
            b.assign(b.bundle("shop", *maps, mine, service_account="limited", takeover=Takeover.ALWAYS))
            await b.healthy()
            await b.hand.edit("configmaps", "n0", {"data": {"x": "9"}})
            await b.hand.until("configmaps", "n0", lambda f: f is not None and f["data"] == {"x": "1"})
            await b.hand.delete("configmaps", "n1")
            await b.hand.until("configmaps", "n1", lambda f: f is not None)
            b.assign(b.bundle("shop", *maps[:7], mine, service_account="limited"))
            await b.healthy()
            assert await b.hand.get("configmaps", "n7") is None
    assert bare == []
    assert borne == {"GET", "PATCH", "DELETE"}


async def test_an_empty_name_is_refused(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(b.bundle("shop", config_map("a", namespace), service_account=""))
        await b.hub.until(lambda: "KNR4025" in {f.code for f in getattr(b.hub.app("shop"), "failures", ())})
        assert await b.hand.get("configmaps", "a") is None


async def test_an_account_that_does_not_exist_may_do_nothing(kube_cluster: KubeCluster, namespace: str) -> None:
    async with kube_bench(kube_cluster, namespace) as b:
        b.assign(
            b.bundle("shop", config_map("a", namespace), service_account="nobody"),
            b.bundle("other", config_map("b", namespace)),
        )
        failure = await b.failure("shop", "KNR4011")
        assert "nobody" in failure.message
        assert await b.hand.get("configmaps", "a") is None
        await b.report("other", AppState.HEALTHY)
