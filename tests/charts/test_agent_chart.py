"""The agent's chart: what it renders, what it refuses, and what real API servers say to it."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cli.tests.person import Person, api_of, until
from knarr.agent.adapters.kubernetes import credentials
from knarr.agent.settings import from_environment
from knarr.bundle.budget import Budget
from knarr.cli.rbac import rbac
from knarr.local.kube import KubeCluster
from knarr.testkit.agent_bench import config_map
from knarr.testkit.kube_bench import kube_bench
from tests.charts.chart import (
    AGENT_CHART,
    MINIMAL,
    NAMESPACE,
    SEED,
    Document,
    Helm,
    Refused,
    apply,
    kubeconfig_of,
    namespace,
    only,
    path_of,
)

pytestmark = [pytest.mark.kube, pytest.mark.timeout(300)]

IMPERSONATE: dict[str, Any] = {"mode": "impersonate", "impersonate": [{"namespace": "default", "serviceAccount": "d"}]}
EVERYTHING: dict[str, Any] = {
    "cluster": "prod-eu-1",
    "hub": {"urls": ["tls://a.example:4222", "wss://b.example:443"], "ports": [4222, 443]},
    "credentials": {"existingSecret": "mine", "nkeySeed": "", "trust": ""},
    "agent": {
        "adopt": True,
        "labels": {"site": "north", "knarr.dev/tier": "edge"},
        "logLevel": "debug",
        "requestsAtOnce": 4,
        "heartbeatSeconds": 30,
        "listenAddress": "[::]",
    },
    "budget": {"share": 0.1, "atLeast": 5, "windowSeconds": 3600, "holdRemoval": False, "holdProtected": True},
    "tracing": {"endpoint": "http://collector.example:4318", "share": 0.25},
    "rbac": IMPERSONATE,
    "serviceAccount": {"name": "runner", "annotations": {"a": "b"}},
    "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}], "to": ["10.0.0.0/8"]},
    "proxy": {"https": "http://proxy.example:3128", "except": ".svc,10.0.0.0/8"},
    "extraCA": {"pem": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"},
    "image": {"digest": "sha256:" + "a" * 64, "pullSecrets": ["registry"]},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "podLabels": {"team": "platform"},
    "podAnnotations": {"note": "x"},
}
SPACES: dict[str, Any] = {"namespaces": ["default", "kube-public"]}
VARIANTS = {
    "minimal": MINIMAL,
    "everything": EVERYTHING,
    "namespaces": {**MINIMAL, "rbac": SPACES},
    "no-role": {**MINIMAL, "rbac": {"mode": "none"}},
}


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_it_lints(helm: Helm, values: Document) -> None:
    assert "0 chart(s) failed" in helm.lint(values)


def test_one_agent_with_nothing_that_it_does_not_need(helm: Helm) -> None:
    documents = helm.render(MINIMAL)
    assert not [d for d in documents if d["kind"] in ("Service", "Ingress", "HorizontalPodAutoscaler")]
    deployment = only("Deployment", documents)["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["resources"]["limits"].keys() == {"cpu", "memory"}
    assert [port["containerPort"] for port in container["ports"]] == [8080]
    assert only("Secret", documents)["data"].keys() == {"nkey.seed", "trust.json"}
    assert SEED not in json.dumps([d for d in documents if d["kind"] != "Secret"])


def test_nothing_comes_in_and_only_known_ports_go_out(helm: Helm) -> None:
    policy = only("NetworkPolicy", helm.render(MINIMAL))["spec"]
    assert (policy["policyTypes"], policy["ingress"]) == (["Ingress", "Egress"], [])
    assert [[p["port"] for p in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [443, 6443, 4222]]

    policy = only("NetworkPolicy", helm.render(EVERYTHING))["spec"]
    assert [p["port"] for p in policy["egress"][1]["ports"]] == [443, 6443, 4222, 4318, 3128]
    assert policy["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_the_agent_understands_the_environment_that_it_is_given(helm: Helm, values: Document) -> None:
    (container,) = only("Deployment", helm.render(values))["spec"]["template"]["spec"]["containers"]
    environment = {e["name"]: e.get("value", NAMESPACE) for e in container["env"]}
    settings = from_environment(environment)
    assert settings.cluster == values["cluster"]
    assert settings.nats_urls == tuple(values["hub"]["urls"])
    assert settings.namespace == NAMESPACE
    assert settings.adopt == values.get("agent", {}).get("adopt", False)
    assert dict(settings.labels) == values.get("agent", {}).get("labels", {})
    given = values.get("budget", {})
    assert settings.budget == Budget(
        share=given.get("share", 0.2),
        at_least=given.get("atLeast", 3),
        window_seconds=given.get("windowSeconds", 86_400),
        hold_removal=given.get("holdRemoval", True),
        hold_protected=given.get("holdProtected", True),
    )
    mounts = {m["mountPath"] for m in container["volumeMounts"]}
    files = [v for n, v in environment.items() if n.endswith(("_FILE", "_CERTIFICATE"))]
    assert {str(Path(file).parent) for file in files} <= mounts


def test_least_privilege_is_its_own_state_what_it_watches_and_whom_it_acts_as(helm: Helm) -> None:
    documents = helm.render({**MINIMAL, "rbac": {**IMPERSONATE, "watch": [{"apiGroups": [""], "resources": ["pods"]}]}})
    assert {verb for rule in only("ClusterRole", documents)["rules"] for verb in rule["verbs"]} == {
        "get",
        "list",
        "watch",
    }
    roles = {d["metadata"]["namespace"]: d["rules"] for d in documents if d["kind"] == "Role"}
    assert roles["default"] == [
        {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["d"], "verbs": ["impersonate"]}
    ]
    assert [rule["resources"] for rule in roles[NAMESPACE]] == [["secrets"]]


ALL = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


@pytest.mark.parametrize(
    ("rbac", "cluster_wide"),
    [
        ({}, True),
        ({"mode": "admin", **SPACES}, True),
        (SPACES, False),
        ({"impersonate": IMPERSONATE["impersonate"]}, False),
        ({"mode": "none"}, False),
    ],
)
def test_it_rules_the_cluster_only_where_nothing_less_is_said(helm: Helm, rbac: Document, cluster_wide: bool) -> None:
    """Namespaces or accounts that are listed take the place of every right: the default is the least of them."""
    documents = helm.render({**MINIMAL, "rbac": rbac})
    bound = {d["roleRef"]["name"] for d in documents if d["kind"] == "ClusterRoleBinding"}
    rules = [r for d in documents if d["kind"] == "ClusterRole" and d["metadata"]["name"] in bound for r in d["rules"]]
    assert (ALL in rules) == cluster_wide


def test_rights_in_namespaces_are_bound_there_and_nowhere_else(helm: Helm) -> None:
    extra = [{"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get", "patch"]}]
    documents = helm.render({**MINIMAL, "rbac": {**SPACES, "clusterRules": extra}})
    bindings = [d for d in documents if d["kind"] == "RoleBinding" and d["roleRef"]["name"].endswith("-apps")]
    assert {d["metadata"]["namespace"] for d in bindings} == {"default", "kube-public"}
    (whole,) = [d for d in documents if d["kind"] == "ClusterRole" and not d["metadata"]["name"].endswith("-apps")]
    assert extra[0] in whole["rules"]
    assert {v for r in whole["rules"] if r != extra[0] for v in r["verbs"]} == {"get", "list", "watch"}
    with pytest.raises(Refused, match="no place for apps"):
        helm.render({**MINIMAL, "rbac": {"namespaces": [NAMESPACE]}})


def _changed(path: str, value: object) -> Document:
    values: Document = copy.deepcopy(dict(MINIMAL))
    *parents, last = path.split(".")
    place = values
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cluster", ""),
        ("cluster", "Not_A_Label"),
        ("cluster", "a" * 64),
        ("hub.urls", []),
        ("hub.urls", ["http://hub"]),
        ("hub.urls", ["nats://user:secret@hub:4222"]),
        ("hub.ports", [0]),
        ("credentials.existingSecret", "both"),
        ("credentials.nkeySeed", ""),
        ("credentials.nkeySeed", "SAAAAA"),
        ("credentials.trust", ""),
        ("rbac.mode", "root"),
        ("rbac.mode", "impersonate"),
        ("rbac.impersonate", [{"namespace": "shop"}]),
        ("rbac.impersonate", [{"namespace": "shop", "serviceAccount": ""}]),
        ("rbac.mode", "namespaces"),
        ("rbac.namespaces", ["Shop"]),
        ("rbac", {"namespaces": ["shop"], "impersonate": [{"namespace": "shop", "serviceAccount": "d"}]}),
        ("rbac.clusterRules", [{"verbs": ["get"]}]),
        ("rbac.rules", []),
        ("budget.share", 1.1),
        ("budget.atLeast", 0),
        ("budget.windowSeconds", 0),
        ("budget.holdRemoval", "no"),
        ("budget.maxDeletions", 3),
        ("agent.heartbeatSeconds", 0),
        ("agent.requestsAtOnce", "12"),
        ("agent.labels", {"a b": "c"}),
        ("agent.labels", {"a": "b,c=d"}),
        ("agent.listenAddress", "::"),
        ("tracing.share", 1.5),
        ("tracing.endpoint", "collector:4318"),
        ("resources.limits", {"cpu": "1", "memory": "lots"}),
        ("image.digest", "latest"),
        ("networkPolicy.to", ["example.com"]),
        ("extraCA", {"pem": "hello"}),
        ("extraCA", {"pem": "-----BEGIN CERTIFICATE-----\nMA==\n", "existingConfigMap": "x"}),
        ("podLabels", {"a": 1}),
        ("replicas", 2),
        ("agent.replicas", 2),
        ("securityContext", {"privileged": True}),
    ],
)
def test_the_schema_refuses(helm: Helm, path: str, value: object) -> None:
    with pytest.raises(Refused, match="don't meet the specifications of the schema"):
        helm.render(_changed(path, value))


def test_every_value_is_in_the_schema_and_explained() -> None:
    values = yaml.safe_load((AGENT_CHART / "values.yaml").read_text())
    schema = json.loads((AGENT_CHART / "values.schema.json").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}
    for name, part in values.items():
        known = schema["properties"][name].get("properties")
        if known is not None:
            assert part.keys() == known.keys(), name


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
async def test_a_real_api_server_accepts_every_object(helm: Helm, cluster: KubeCluster, values: Document) -> None:
    await namespace(cluster, NAMESPACE, enforce="restricted", warn="restricted")
    for document in helm.render(values):
        status, answer = await apply(cluster, document, dry_run=True)
        assert status in (200, 201), answer


async def test_it_becomes_ready_where_only_restricted_pods_may_run(helm: Helm, cluster: KubeCluster) -> None:
    await namespace(cluster, NAMESPACE, enforce="restricted")
    for values in (MINIMAL, {**EVERYTHING, "credentials": MINIMAL["credentials"]}):
        helm.install(cluster, values)
        _, deployment = await cluster.request("GET", f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/agent")
        assert deployment["status"]["availableReplicas"] == 1
    _, pods = await cluster.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods")
    assert [p["status"]["phase"] for p in pods["items"] if not p["metadata"].get("deletionTimestamp")] == ["Running"]
    helm.uninstall(cluster)
    for document in helm.render(MINIMAL):
        status, _ = await cluster.request("GET", path_of(document))
        assert status == 404, document["metadata"]


async def test_the_restricted_namespace_does_judge(helm: Helm, cluster: KubeCluster) -> None:
    """The proof above is worth something only if the same pod with one right more is refused."""
    await namespace(cluster, NAMESPACE, enforce="restricted")
    template = only("Deployment", helm.render(MINIMAL))["spec"]["template"]
    template["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    template["spec"].pop("serviceAccountName")
    pod = {**template, "apiVersion": "v1", "kind": "Pod"}
    pod["metadata"] = {**template["metadata"], "name": "agent", "namespace": NAMESPACE}
    status, answer = await apply(cluster, pod, dry_run=True)
    assert status == 403
    assert "allowPrivilegeEscalation" in answer["message"]


async def test_an_agent_works_with_the_rights_of_the_chart(helm: Helm, cluster: KubeCluster, person: Person) -> None:
    await namespace(cluster, NAMESPACE)
    for document in helm.render(MINIMAL, release="whole"):
        await apply(cluster, document)
    kubeconfig = await kubeconfig_of(cluster, "whole", person.folder)
    async with person.up(person.options(kubeconfig, f"{cluster.name}=dev", adopt=frozenset({"dev"}))):
        await person.arrives("first", cluster)


async def test_an_agent_with_rights_in_namespaces_works_there_and_nowhere_else(
    helm: Helm, cluster: KubeCluster, tmp_path: Path
) -> None:
    """The bounds of a bundle let it out, and its rights do not."""
    await namespace(cluster, NAMESPACE)
    for name in ("spaces", "spaces-agent", "elsewhere"):
        await namespace(cluster, name)
    rbac = {"namespaces": ["spaces", "spaces-agent"]}
    for document in helm.render({**MINIMAL, "rbac": rbac}, release="spaces"):
        status, answer = await apply(cluster, document)
        assert status in (200, 201), answer
    given = await credentials(await kubeconfig_of(cluster, "spaces", tmp_path), "")
    async with kube_bench(cluster, "spaces", configuration=given) as b:
        outside = config_map("a", "elsewhere")
        metadata = {"name": "r", "namespace": "spaces"}
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": []}
        b.assign(b.bundle("shop", config_map("a", "spaces"), role, outside))
        failure = await b.failure("shop", "KNR4011")
        assert failure.object_id == "/ConfigMap/elsewhere/a"
        assert await b.hand.get("configmaps", "a") is not None
        b.assign(b.bundle("shop", config_map("a", "spaces"), role))
        await b.healthy("shop")


_WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: registry.example/web:1}]}
"""
_READER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [endpoints], verbs: [get, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: default}]
"""


async def test_an_agent_with_least_privilege_does_what_its_apps_service_account_may_and_no_more(
    helm: Helm, cluster: KubeCluster, person: Person
) -> None:
    person.manifests.update({"workload.yaml": _WORKLOAD, "reader.yaml": _READER})
    person.commit("first")
    await namespace(cluster, NAMESPACE)
    await namespace(cluster, person.namespace)
    roles, values = await _printed(person), await _printed(person, "--chart-values")
    for document in (*roles, *helm.render({**MINIMAL, **values[0]}, release="least")):
        status, answer = await apply(cluster, document)
        assert status in (200, 201), answer
    kubeconfig = await kubeconfig_of(cluster, "least", person.folder)
    options = person.options(kubeconfig, f"{cluster.name}=dev", adopt=frozenset({"dev"}))

    async with person.up(options) as session:

        async def placed() -> list[Document]:
            rows = await asyncio.to_thread(lambda: api_of(session).items("clusters", expand="apps"))
            return [placement for row in rows for placement in row["placements"]]

        async def refused() -> bool:
            return "KNR4011" in [f["code"] for p in await placed() for f in p["failures"]]

        async def healthy() -> bool:
            return [p["standing"] for p in await placed()] == ["healthy"]

        await until("an app that names no service account being refused", refused)
        assert await person.value_in(cluster) is None
        person.policy = "serviceAccount: deployer\n"
        person.commit("second")
        await person.arrives("second", cluster)
        await until("the workload, the role and its binding", healthy)
        del person.manifests["reader.yaml"]
        person.repository.commit({f"apps/{person.namespace}/reader.yaml": None, **person.files("third")})
        await person.arrives("third", cluster)
        gone = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{person.namespace}/roles/reader"

        async def pruned() -> bool:
            return (await cluster.request("GET", gone))[0] == 404

        await until("what the commit took away being deleted", pruned)


async def _printed(person: Person, *options: str) -> list[Document]:
    """What `knarr rbac` prints for the fleet as it is now."""
    folder = person.folder / "work-tree"
    for name, text in person.files("first").items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    words = [person.namespace, "--fleet", str(folder), "--service-account", "deployer", *options]
    done = await asyncio.to_thread(lambda: CliRunner().invoke(rbac, words))
    assert done.exit_code == 0, done.output
    return list(yaml.safe_load_all(done.stdout))
