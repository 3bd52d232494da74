"""What a source may touch: names, kinds, and what nobody may."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.bundle.bounds import UNBOUNDED, Bounds, breach, namespace_breach
from knarr.bundle.header import Header, header_from_json, header_to_json

TEAM = Bounds(source="team", namespaces=("team", "team-*"), kinds=("ConfigMap", "*.apps"), cluster_kinds=())


def manifest(kind: str, namespace: str = "", api: str = "v1", name: str = "x") -> dict[str, Any]:
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **place}}


@pytest.mark.parametrize(
    ("bounds", "found", "why"),
    [
        (UNBOUNDED, manifest("ConfigMap", "any"), ""),
        (UNBOUNDED, manifest("Namespace", name="any"), ""),
        (UNBOUNDED, manifest("ClusterRole", api="rbac.authorization.k8s.io/v1"), ""),
        (UNBOUNDED, manifest("ConfigMap", "kube-system"), "systemNamespaces"),
        (UNBOUNDED, manifest("Namespace", name="kube-system"), "systemNamespaces"),
        (Bounds(system_namespaces=("kube-system",)), manifest("ConfigMap", "kube-system"), ""),
        (UNBOUNDED, manifest("ConfigMap", "knarr-system"), "agent's own"),
        (Bounds(namespaces=("*",), system_namespaces=("*",)), manifest("Secret", "knarr-system"), "agent's own"),
        (UNBOUNDED, manifest("Namespace", name="knarr-system"), "agent's own"),
        (UNBOUNDED, manifest("Secret", "elsewhere"), "agent's own"),
        (TEAM, manifest("ConfigMap", "team-a"), ""),
        (TEAM, manifest("ConfigMap", "team"), ""),
        (TEAM, manifest("ConfigMap", "teams"), "may not touch namespace teams"),
        (TEAM, manifest("Secret", "team"), "may hold no Secret"),
        (TEAM, manifest("Deployment", "team", "apps/v1"), ""),
        (TEAM, manifest("Role", "team", "rbac.authorization.k8s.io/v1"), "may hold no Role.rbac.authorization.k8s.io"),
        (TEAM, manifest("Namespace", name="team"), "of a whole cluster"),
        (Bounds(namespaces=("a",), cluster_kinds=("Namespace",)), manifest("Namespace", name="b"), "namespace b"),
    ],
)
def test_what_is_out_of_bounds(bounds: Bounds, found: dict[str, Any], why: str) -> None:
    said = breach(bounds, found, own_namespace="elsewhere")
    assert why in said
    assert bool(said) == bool(why)


def test_the_agents_default_namespace_is_closed_wherever_the_agent_lives() -> None:
    assert namespace_breach(UNBOUNDED, "knarr-system", "elsewhere")


@pytest.mark.parametrize("bounds", [UNBOUNDED, TEAM, Bounds(adopt_namespaces=True), Bounds(cluster_kinds=())])
def test_bounds_travel_in_the_header(bounds: Bounds) -> None:
    header = Header(app="a", bounds=bounds)
    assert header_from_json(header_to_json(header)) == header
    assert ("bounds" in header_to_json(header)) == (bounds != UNBOUNDED)
