"""The least that an app's service account needs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.bundle.header import Header
from knarr.bundle.packing import Bundle, make_bundle
from knarr.cli.roles import Needs, needs_of, plural
from knarr.pipeline.errors import KnarrError

Document = dict[str, Any]


def _object(api_version: str, kind: str, name: str, namespace: str = "shop", **more: Any) -> Document:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


def _bundle(*objects: Document, prune: bool = True) -> Bundle:
    return make_bundle(Header(app="catalog", namespace="shop", prune=prune), objects)


def _roles(needs: Needs, kind: str = "Role") -> dict[str, list[Document]]:
    return {d["metadata"].get("namespace", ""): d["rules"] for d in needs.account if d["kind"] == kind}


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        ("ConfigMap", "configmaps"),
        ("Ingress", "ingresses"),
        ("NetworkPolicy", "networkpolicies"),
        ("StorageClass", "storageclasses"),
        ("Endpoints", "endpoints"),
        ("Gateway", "gateways"),
        ("PodDisruptionBudget", "poddisruptionbudgets"),
    ],
)
def test_kinds_become_resources_as_kubernetes_names_them(kind: str, resource: str) -> None:
    assert plural(kind) == resource


def test_each_namespace_gets_a_role_and_the_rest_a_cluster_role() -> None:
    needs = needs_of(
        _bundle(
            _object("v1", "ConfigMap", "a"),
            _object("apps/v1", "Deployment", "a"),
            _object("v1", "Secret", "b", "other"),
            _object("scheduling.k8s.io/v1", "PriorityClass", "high", ""),
        ),
        "deployer",
    )
    every = ["list", "create", "get", "patch", "delete"]
    assert _roles(needs) == {
        "shop": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": every},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": every},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
            {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
        ],
        "other": [{"apiGroups": [""], "resources": ["secrets"], "verbs": every}],
    }
    assert _roles(needs, "ClusterRole") == {
        "": [{"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": every}]
    }
    subjects = [d["subjects"] for d in needs.account if d["kind"].endswith("Binding")]
    assert subjects == [[{"kind": "ServiceAccount", "namespace": "shop", "name": "deployer"}]] * 3


def test_without_pruning_it_may_delete_nothing_and_touch_only_its_own_names() -> None:
    needs = needs_of(_bundle(_object("v1", "ConfigMap", "a"), _object("v1", "ConfigMap", "b"), prune=False), "deployer")
    assert _roles(needs)["shop"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b"], "verbs": ["get", "patch"]},
    ]


def test_what_it_grants_it_must_hold_and_what_it_binds_it_may_bind() -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    group = "rbac.authorization.k8s.io/v1"
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    needs = needs_of(
        _bundle(
            _object(group, "Role", "reader", rules=[rule, rule]),
            _object(group, "RoleBinding", "reader", roleRef=reference),
        ),
        "deployer",
    )
    assert _roles(needs)["shop"][1:] == [
        rule,
        {
            "apiGroups": ["rbac.authorization.k8s.io"],
            "resources": ["clusterroles"],
            "resourceNames": ["view"],
            "verbs": ["bind"],
        },
    ]


def test_a_definition_in_the_bundle_names_the_plural_and_others_are_called_guesses() -> None:
    definition = _object(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "mice.zoo.example",
        "",
        spec={"group": "zoo.example", "names": {"kind": "Mouse", "plural": "mice"}},
    )
    mouse, ox = _object("zoo.example/v1", "Mouse", "m"), _object("farm.example/v1", "Ox", "o")
    needs = needs_of(_bundle(definition, mouse, ox), "deployer")
    assert [rule["resources"] for rule in _roles(needs)["shop"]] == [["oxes"], ["mice"]]
    assert needs.guessed == ("Ox.farm.example",)


def test_an_app_without_a_namespace_has_no_service_account() -> None:
    with pytest.raises(KnarrError) as refused:
        needs_of(make_bundle(Header(app="a"), ()), "deployer")
    assert refused.value.code == "KNR6214"


_KINDS = st.sampled_from([("v1", "ConfigMap"), ("v1", "Secret"), ("apps/v1", "Deployment"), ("batch/v1", "Job")])
_OBJECTS = st.lists(
    st.builds(
        lambda kind, name, space: _object(kind[0], kind[1], name, space),
        _KINDS,
        st.sampled_from("abc"),
        st.sampled_from("xy"),
    ),
    unique_by=lambda o: (o["kind"], o["metadata"]["name"], o["metadata"]["namespace"]),
)


@given(_OBJECTS, st.booleans())
def test_roles_name_exactly_the_kinds_of_their_namespace(objects: list[Document], prune: bool) -> None:
    needs = needs_of(_bundle(*objects, prune=prune), "deployer")
    wanted: dict[str, set[str]] = {}
    for one in objects:
        wanted.setdefault(one["metadata"]["namespace"], set()).add(plural(one["kind"]))
    for namespace, rules in _roles(needs).items():
        written = {r for rule in rules if "create" in rule["verbs"] for r in rule["resources"]}
        assert written == wanted[namespace]
        assert {r for rule in rules for r in rule["resources"]} - written <= {"pods", "replicasets"}
    assert _roles(needs).keys() == wanted.keys()
    verbs = {verb for rules in _roles(needs).values() for rule in rules for verb in rule["verbs"]}
    assert "*" not in verbs
    assert ("delete" in verbs) == (prune and bool(objects))
    watched = {r for rule in needs.agent["rbac"]["watch"] for r in rule["resources"]}
    assert watched == {plural(o["kind"]) for o in objects}
