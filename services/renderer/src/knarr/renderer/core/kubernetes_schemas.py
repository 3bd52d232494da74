"""Kubernetes' own schemas, by version: which kinds it serves and what their objects look like.

The data is packed by tools/pack_kubernetes_schemas.py. Pure: a file of the package is read once. Called by validate.py.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs
import zstandard

Kind = tuple[str, str]  # apiVersion, kind


@cache
def versions() -> tuple[str, ...]:
    """Every version that is known, oldest first, as 1.36."""
    return tuple(sorted(_packed()["versions"], key=_number))


def nearest_version(version: str) -> str:
    """The known version that speaks for `version` (as 1.36): itself, the newest for an unknown or newer one."""
    known = versions()
    if version in known:
        return version
    if not version or _number(version) > _number(known[-1]):
        return known[-1]
    return next((v for v in known if _number(v) >= _number(version)), known[-1])


def serves(version: str, kind: Kind) -> bool:
    """Whether Kubernetes `version` itself serves the kind."""
    return kind in _kinds(version)


def served_since_and_until(kind: Kind) -> tuple[str, str] | None:
    """The first and the last known version that serves the kind; None when no known version does."""
    serving = [v for v in versions() if serves(v, kind)]
    return (serving[0], serving[-1]) if serving else None


def other_versions_of(version: str, kind: Kind) -> tuple[str, ...]:
    """The apiVersions under which `version` serves a kind of this name."""
    return tuple(sorted(api for api, name in _kinds(version) if name == kind[1] and api != kind[0]))


@cache
def groups_of(version: str) -> frozenset[str]:
    """The API groups that Kubernetes itself serves."""
    return frozenset(api.rpartition("/")[0] for api, _ in _kinds(version))


def is_own(group: str) -> bool:
    """Whether the API group is of Kubernetes itself, in any known version."""
    return any(group in groups_of(version) for version in versions())


def offers(version: str, api: str) -> bool:
    """Whether the cluster's version (as 1.36.1) serves `group/version` or `group/version/Kind`; core has no group."""
    served = _kinds(nearest_version(".".join(version.split(".")[:2])))
    return any(api in (known, f"{known}/{kind}") for known, kind in served)


@cache
def kinds_of(version: str, api_version: str) -> tuple[str, ...]:
    """The kinds of one apiVersion."""
    return tuple(sorted(kind for api, kind in _kinds(version) if api == api_version))


@cache
def validator(version: str, kind: Kind) -> Any:
    """A validator of objects of the kind, which `version` serves."""
    definitions = _definitions(version)
    name = _kinds(version)[kind]
    needed = _needed(definitions, name)
    return jsonschema_rs.validator_for(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": f"#/$defs/{name}",
            "$defs": {key: definitions[key] for key in needed},
        }
    )


@cache
def _packed() -> dict[str, Any]:
    data = resources.files("knarr.renderer").joinpath("schemas", "kubernetes.json.zst").read_bytes()
    unpacked: dict[str, Any] = json.loads(zstandard.ZstdDecompressor().decompress(data))
    return unpacked


@cache
def _definitions(version: str) -> dict[str, Any]:
    packed = _packed()
    return {name: packed["definitions"][number] for name, number in packed["versions"][version].items()}


@cache
def _kinds(version: str) -> dict[Kind, str]:
    """(apiVersion, kind) → definition."""
    found: dict[Kind, str] = {}
    for name, definition in _definitions(version).items():
        properties = definition.get("properties", {})
        for api in properties.get("apiVersion", {}).get("enum", ()):
            for kind in properties.get("kind", {}).get("enum", ()):
                found[(api, kind)] = name
    return found


def _needed(definitions: dict[str, Any], root: str) -> set[str]:
    """Every definition that `root` refers to, itself included."""
    needed: set[str] = set()
    stack: list[Any] = [{"$ref": f"#/$defs/{root}"}]
    while stack:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name and name not in needed and name in definitions:
                needed.add(name)
                stack.append(definitions[name])
            stack.extend(v for v in value.values() if isinstance(v, dict | list))
    return needed


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isascii() and part.isdigit())
