"""The least that an app's service account and its agent must be allowed, as Kubernetes roles. Pure.

Called by `knarr rbac`. Named resources where Kubernetes honours names (get, patch, delete); creating and listing cannot
be limited to names. Roles within the app need what they grant, or Kubernetes calls applying them an escalation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from knarr.agent.core.causes import has_pods, has_replica_sets
from knarr.agent.core.objects import Kind
from knarr.bundle.packing import Bundle
from knarr.pipeline.errors import rejected

Document = dict[str, Any]
_RBAC = "rbac.authorization.k8s.io"
_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """`account`: the roles of the app's service account. `agent`: values of the agent's chart. `guessed`: kinds whose
    plural follows from English and not from a definition in the bundle."""

    account: tuple[Document, ...]
    agent: Document
    guessed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Thing:
    group: str
    resource: str
    namespace: str
    name: str


def needs_of(bundle: Bundle, service_account: str) -> Needs:
    """What `service_account` (of the bundle's namespace) needs for exactly this bundle. KNR6214 without a namespace."""
    header = bundle.header
    if not header.namespace:
        raise rejected("KNR6214", f"app {header.app} names no namespace, so it has no service account")
    plurals = _plurals(bundle.objects)
    things = [_thing(o, plurals) for o in bundle.objects]
    who = (header.namespace, service_account)
    documents: list[Document] = [_account(*who)]
    for namespace in sorted({t.namespace for t in things}):
        here = [t for t in things if t.namespace == namespace]
        objects = [o for o, t in zip(bundle.objects, things, strict=True) if t.namespace == namespace]
        rules = [*_rules(here, prunes=header.prune), *_looking(objects), *_granted(objects)]
        documents += _role(f"knarr-{header.app}", namespace, rules, who)
    return Needs(account=tuple(documents), agent=_agent(things, who), guessed=_guessed(bundle.objects, plurals))


def _agent(things: Iterable[_Thing], who: tuple[str, str]) -> Document:
    kinds = _by_group((t.group, t.resource) for t in things)
    return {
        "rbac": {
            "mode": "impersonate",
            "impersonate": [{"namespace": who[0], "serviceAccount": who[1]}],
            "watch": [{"apiGroups": [group], "resources": resources} for group, resources in kinds.items()],
        }
    }


def _guessed(objects: Iterable[Mapping[str, Any]], plurals: Mapping[tuple[str, str], str]) -> tuple[str, ...]:
    custom = {(_group(o), str(o["kind"])) for o in objects if "." in _group(o) and not _group(o).endswith(".k8s.io")}
    return tuple(sorted(f"{kind}.{group}" for group, kind in custom - plurals.keys()))


def plural(kind: str) -> str:
    """As Kubernetes names the resources of its own kinds."""
    lower = kind.lower()
    if lower == "endpoints":
        return lower
    if lower.endswith(("s", "x", "ch", "sh")):
        return lower + "es"
    if lower.endswith("y") and lower[-2:-1] not in "aeiou":
        return lower[:-1] + "ies"
    return lower + "s"


def _plurals(objects: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], str]:
    found = {}
    for one in objects:
        if (_group(one), one["kind"]) == _DEFINITION:
            spec = one.get("spec") or {}
            names = spec.get("names") or {}
            found[str(spec.get("group")), str(names.get("kind"))] = str(names.get("plural"))
    return found


def _group(manifest: Mapping[str, Any]) -> str:
    return str(manifest["apiVersion"]).rpartition("/")[0]


def _thing(manifest: Mapping[str, Any], plurals: Mapping[tuple[str, str], str]) -> _Thing:
    group, kind, metadata = _group(manifest), str(manifest["kind"]), manifest["metadata"]
    return _Thing(
        group,
        plurals.get((group, kind)) or plural(kind),
        str(metadata.get("namespace") or ""),
        str(metadata["name"]),
    )


def _by_group(kinds: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group, resource in sorted(set(kinds)):
        found.setdefault(group, []).append(resource)
    return found


def _rules(things: Sequence[_Thing], *, prunes: bool) -> list[Document]:
    by_group = _by_group((t.group, t.resource) for t in things)
    if prunes:
        # What an earlier bundle brought may be gone from this one: for looking at it and deleting it, no name is known.
        verbs = ["list", "create", "get", "patch", "delete"]
        return [{"apiGroups": [g], "resources": r, "verbs": verbs} for g, r in by_group.items()]
    rules: list[Document] = [
        {"apiGroups": [g], "resources": r, "verbs": ["list", "create"]} for g, r in by_group.items()
    ]
    for group, resources in by_group.items():
        for resource in resources:
            names = sorted({t.name for t in things if (t.group, t.resource) == (group, resource)})
            rules.append(
                {"apiGroups": [group], "resources": [resource], "resourceNames": names, "verbs": ["get", "patch"]}
            )
    return rules


def _looking(objects: Iterable[Mapping[str, Any]]) -> list[Document]:
    """Why a workload does not become ready, its pods say; the agent reads them as the service account."""
    kinds = {Kind(_group(one), str(one["kind"])) for one in objects}
    rules: list[Document] = []
    if any(has_pods(kind) for kind in kinds):
        rules.append({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]})
    if any(has_replica_sets(kind) for kind in kinds):
        rules.append({"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]})
    return rules


def _granted(objects: Iterable[Mapping[str, Any]]) -> list[Document]:
    rules: list[Document] = []
    for one in objects:
        if _group(one) != _RBAC:
            continue
        if one["kind"] in ("Role", "ClusterRole"):
            rules += [dict(rule) for rule in one.get("rules") or ()]
        elif reference := one.get("roleRef"):
            rules.append(
                {
                    "apiGroups": [_RBAC],
                    "resources": [plural(str(reference["kind"]))],
                    "resourceNames": [str(reference["name"])],
                    "verbs": ["bind"],
                }
            )
    return [rule for number, rule in enumerate(rules) if rule not in rules[:number]]


def _account(namespace: str, name: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
        "automountServiceAccountToken": False,
    }


def _role(name: str, namespace: str, rules: list[Document], account: tuple[str, str]) -> list[Document]:
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    role = {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": rules}
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "namespace": account[0], "name": account[1]}],
    }
    return [role, binding]
