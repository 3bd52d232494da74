"""Documents against their published JSON Schemas (knarr.pipeline.schemas).

`check` gives every deviation with file, line and column. Called by parse.py.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from typing import Any

import jsonschema_rs
import yaml

from knarr.pipeline.failure import Failure
from knarr.pipeline.schemas import schema_bytes
from knarr.renderer.core.failures import failure
from knarr.renderer.core.yaml_kubectl import Document, position

KINDS = ("Fleet", "Cluster", "App", "RolloutPolicy")
_Path = list[str | int]


@cache
def schema(kind: str) -> dict[str, Any]:
    """The schema of `kind`. The caller must not change it."""
    loaded: dict[str, Any] = json.loads(schema_bytes(kind.lower()))
    return loaded


def check(document: Document, kind: str) -> tuple[Failure, ...]:
    """Every deviation of `document` from the schema of `kind`: KNR2010, KNR2011, KNR2012."""
    found = [
        deviation
        for error in _validator(kind).iter_errors(document.value)
        for deviation in _failures(error, document, kind)
    ]
    return tuple(sorted(set(found), key=lambda f: (_line_of(f.origin), f.code, f.message)))


@cache
def _validator(kind: str) -> Any:
    return jsonschema_rs.validator_for(schema(kind))


def _failures(error: Any, document: Document, kind: str) -> list[Failure]:
    path: _Path = list(error.instance_path)
    detail = error.kind
    where = _text_of(path)
    match detail.name:
        case "additionalProperties":
            return [_unknown_key(document, kind, path, key) for key in detail.unexpected]
        case "required":
            return [failure("KNR2012", f"{where} needs {detail.property!r}", origin=position_of(document, path))]
        case "propertyNames":
            key = str(detail.error.instance)
            message = f"{where}: {key!r} is not a valid name here"
            return [failure("KNR2011", message, origin=position_of(document, [*path, key], of_key=True))]
        case "type":
            wanted = " or ".join(detail.types)
            message = f"{where} is {_type_name(error.instance)}, but must be {wanted}"
            hint = " (quote it)" if detail.types == ["string"] and not isinstance(error.instance, dict | list) else ""
            return [failure("KNR2011", message + hint, origin=position_of(document, path))]
        case "enum":
            choices = [str(o) for o in detail.options]
            message = f"{where} is {error.instance!r}, but must be one of {', '.join(choices)}"
            return [
                failure("KNR2011", message + _nearest(str(error.instance), choices), origin=position_of(document, path))
            ]
    return [failure("KNR2011", f"{where}: {_trimmed(error)}", origin=position_of(document, path))]


def _trimmed(error: Any) -> str:
    schema_here = _at(error)
    described = schema_here.get("description") if isinstance(schema_here, dict) else None
    shown = "it" if "@" in str(error.instance) else f"{str(error.instance)[:60]!r}"  # an address may hold a login
    return f"{shown} does not fit" + (f" ({described})" if described else "")


def _at(error: Any) -> Any:
    found: Any = None
    for kind in KINDS:
        found = schema(kind)
        for step in list(error.schema_path)[:-1]:
            try:
                found = found[step]
            except (KeyError, IndexError, TypeError):
                found = None
                break
        if found is not None:
            return found
    return found


def _unknown_key(document: Document, kind: str, path: _Path, key: str) -> Failure:
    known = sorted(_known_keys(schema(kind), path))
    message = f"{_text_of(path)} has no key {key!r}{_nearest(key, known)}"
    return failure("KNR2010", message, origin=position_of(document, [*path, key], of_key=True))


def _known_keys(node: Any, path: _Path) -> set[str]:
    for step in path:
        if isinstance(step, int):
            node = node.get("items", {})
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            node = node.get("additionalProperties", {})
        node = node if isinstance(node, dict) else {}
        node = next((n for n in node.get("oneOf", []) + node.get("anyOf", []) if "properties" in n), node)
    return set(node.get("properties", {}))


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word.lower(), [k.lower() for k in known], n=1, cutoff=0.55)
    if not near:
        return f"; known: {', '.join(known)}" if 0 < len(known) <= 12 else ""
    return f"; did you mean {next(k for k in known if k.lower() == near[0])!r}?"


def _type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text"
        case list():
            return "a list"
    return "a mapping"


def _text_of(path: _Path) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.lstrip(".") or "the document"


def position_of(document: Document, path: _Path, *, of_key: bool = False) -> str:
    """Where the value (or its key) at `path` begins."""
    if document.node is None:
        return document.origin
    node, mark = document.node, document.node.start_mark
    for step in path:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            mark = node.start_mark
            continue
        pair = next((p for p in node.value if p[0].value == step), None) if isinstance(node, yaml.MappingNode) else None
        if pair is None:
            break
        node = pair[1]
        mark = pair[0].start_mark if of_key and step == path[-1] else node.start_mark
    return position(document.file, mark)


def _line_of(origin: str) -> tuple[str, int, int]:
    file, line, column = [*origin.rsplit(":", 2), "0", "0"][:3]
    return (file, int(line), int(column)) if line.isdigit() and column.isdigit() else (origin, 0, 0)
