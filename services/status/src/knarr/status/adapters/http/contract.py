"""openapi.yaml as the truth: its parameter and body schemas, compiled once at start with jsonschema-rs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jsonschema_rs
import yaml

from knarr.pipeline.errors import rejected

PACKAGE = "knarr.status"


def text() -> str:
    """openapi.yaml as it is committed."""
    return (resources.files(PACKAGE) / "openapi.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter of an operation."""

    name: str
    place: str
    required: bool
    whole: bool
    validator: jsonschema_rs.Draft202012Validator


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: path template, method, and how its input is checked."""

    operation_id: str
    path: str
    method: str
    parameters: tuple[Parameter, ...]
    body: jsonschema_rs.Draft202012Validator | None
    needs_token: bool

    def checked(self, path: Mapping[str, str], query: Mapping[str, str]) -> dict[str, str]:
        """All parameters by name. KNR5021 names every mistake."""
        mistakes = [f"{name} is not a parameter" for name in query if not self._knows(name, "query")]
        found: dict[str, str] = {}
        for parameter in self.parameters:
            raw = (path if parameter.place == "path" else query).get(parameter.name)
            if raw is None:
                mistakes += [f"{parameter.name} is missing"] if parameter.required else []
            elif not parameter.validator.is_valid(_typed(raw, parameter.whole)):
                mistakes.append(f"{parameter.name} is not valid")
            else:
                found[parameter.name] = raw
        if mistakes:
            raise rejected("KNR5021", "; ".join(m[:120] for m in mistakes[:8]))
        return found

    def _knows(self, name: str, place: str) -> bool:
        return any(p.name == name and p.place == place for p in self.parameters)


def operations() -> dict[str, Operation]:
    """Operation id → operation."""
    document = yaml.safe_load(text())
    found = {}
    for path, item in document["paths"].items():
        for method, body in item.items():
            found[body["operationId"]] = _operation(document, path, method, body)
    return found


def _operation(document: Any, path: str, method: str, body: Any) -> Operation:
    parameters = tuple(_parameter(document, _resolved(document, p)) for p in body.get("parameters", ()))
    content = body.get("requestBody", {}).get("content", {}).get("application/json")
    return Operation(
        operation_id=body["operationId"],
        path=path,
        method=method,
        parameters=parameters,
        body=_compiled(document, content["schema"]) if content else None,
        needs_token=bool(body.get("security")),
    )


def _parameter(document: Any, parameter: Any) -> Parameter:
    return Parameter(
        name=parameter["name"],
        place=parameter["in"],
        required=parameter.get("required", False),
        whole=_resolved(document, parameter["schema"]).get("type") == "integer",
        validator=_compiled(document, parameter["schema"]),
    )


def _compiled(document: Any, schema: Any) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**_resolved(document, schema)})


def _resolved(document: Any, value: Any) -> Any:
    if "$ref" not in value:
        return value
    found = document
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def _typed(raw: str, whole: bool) -> Any:
    if not whole:
        return raw
    try:
        return int(raw) if raw.isascii() and len(raw) < 20 else raw
    except ValueError:
        return raw
