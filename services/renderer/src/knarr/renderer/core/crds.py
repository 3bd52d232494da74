"""CustomResourceDefinitions that the fleet itself holds: scopes of their kinds, and schemas for their objects.

Found by reading the sources' files, so that an app's custom resources are checked against a CRD that lies in another
app. Called by surveyor.py (find) and validate.py (check).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import jsonschema_rs

from knarr.bundle.canonical import canonical_json
from knarr.pipeline.digest import sha256

MARK = b"CustomResourceDefinition"
_KEPT = (
    "type", "required", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength",
    "pattern", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "multipleOf",
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crd:
    """One CRD: what its objects are called, and the schema of each version, as canonical JSON."""

    group: str
    kind: str
    namespaced: bool
    schemas: Mapping[str, bytes] = field(default_factory=dict)
    digest: bytes = b""


def crds_in(manifests: Iterable[Any]) -> Iterator[Crd]:
    """The CRDs among `manifests`. What is no proper CRD is left out: the API server will say so."""
    for manifest in manifests:
        spec = manifest.get("spec") if isinstance(manifest, dict) else None
        if not isinstance(spec, dict) or manifest.get("kind") != "CustomResourceDefinition":
            continue
        names = spec.get("names")
        if isinstance(names, dict) and isinstance(names.get("kind"), str) and isinstance(spec.get("group"), str):
            yield Crd(
                group=spec["group"],
                kind=names["kind"],
                namespaced=spec.get("scope") != "Cluster",
                schemas=_schemas(spec),
                digest=sha256(canonical_json(spec)),
            )


def crd_validator(crd: Crd, version: str) -> Any:
    """A validator of objects of `version`; None when the CRD has no schema that can be read. KeyError if not served."""
    return _compiled(crd.schemas[version])


@lru_cache(maxsize=1024)
def _compiled(schema: bytes) -> Any:
    try:
        return jsonschema_rs.validator_for(schema.decode())
    except (ValueError, jsonschema_rs.ValidationError):
        return None  # a pattern of another dialect, say: the API server checks it


def _schemas(spec: Mapping[str, Any]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    shared = spec.get("validation")
    for version in spec.get("versions") or ():
        if not isinstance(version, dict) or not version.get("served", True):
            continue
        schema = version.get("schema") or shared
        openapi = schema.get("openAPIV3Schema") if isinstance(schema, dict) else None
        top: dict[str, Any] = {"apiVersion": {}, "kind": {}, "metadata": {}}
        converted = _converted(openapi, 0) if isinstance(openapi, dict) else {}
        if "properties" in converted:
            converted["properties"] = {**converted["properties"], **top}
        found[str(version.get("name"))] = canonical_json(converted)
    return found


def _converted(node: Any, depth: int) -> dict[str, Any]:
    """A structural schema as JSON Schema: nullable, int-or-string, unknown fields refused as the API server does."""
    if not isinstance(node, dict) or depth > 60:
        return {}
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"] + (["null"] if node.get("nullable") else [])}
    made: dict[str, Any] = {key: node[key] for key in _KEPT if key in node}
    if isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]  # the API server drops nulls, or keeps them where they are allowed
    if "enum" in made:
        made["enum"] = [*made["enum"], None]
    properties = node.get("properties")
    if isinstance(properties, dict):
        made["properties"] = {key: _converted(value, depth + 1) for key, value in properties.items()}
        if not node.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
        if node.get("x-kubernetes-embedded-resource"):
            made["properties"].update({"apiVersion": {}, "kind": {}, "metadata": {}})
    if isinstance(node.get("additionalProperties"), dict):
        made["additionalProperties"] = _converted(node["additionalProperties"], depth + 1)
    if isinstance(node.get("items"), dict):
        made["items"] = _converted(node["items"], depth + 1)
    for key in _LISTS:
        if isinstance(node.get(key), list):
            made[key] = [_loose(item) for item in node[key]]
    if isinstance(node.get("not"), dict):
        made["not"] = _loose(node["not"])
    return made


def _loose(node: Any) -> Any:
    """Inside allOf, anyOf, oneOf and not, structural schemas only add conditions: nothing is refused as unknown."""
    if isinstance(node, list):
        return [_loose(item) for item in node]
    if not isinstance(node, dict):
        return node
    known = {*_KEPT, *_LISTS, "properties", "items", "not"}
    return {
        key: {name: _loose(child) for name, child in value.items()} if key == "properties" else _loose(value)
        for key, value in node.items()
        if key in known
    }
