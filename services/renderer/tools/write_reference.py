"""Writes docs/reference/documents.md from the published JSON Schemas. `--check` only compares."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "libs/pipeline/src/knarr/pipeline/schemas/v1"
TARGET = ROOT / "docs/reference/documents.md"
TAIL = Path(__file__).with_name("reference_tail.md")
KINDS = ("fleet", "cluster", "app", "rolloutpolicy")
PLACES = {
    "fleet": "`fleet.yaml`, at the root of the fleet repository.",
    "cluster": "`clusters/*.yaml` of the fleet repository, or in `fleet.yaml`.",
    "app": "`knarr.yaml`, in the app's folder.",
    "rolloutpolicy": "`rollouts/*.yaml` of the fleet repository, or in `fleet.yaml`.",
}
HEAD = """# Documents

Made from the JSON Schemas in `libs/pipeline/src/knarr/pipeline/schemas/v1` by
`services/renderer/tools/write_reference.py`. Every document begins with `apiVersion: knarr.dev/v1` and its `kind`. An
unknown key is an error that names the nearest known one. Every control plane serves the schemas that it checks with,
under `/schemas/v1/<kind>.json` (`fleet`, `cluster`, `app`, `rolloutpolicy`) beside its API. For completion in an editor
put this line at the top of a file:

    # yaml-language-server: $schema=https://knarr.example.com/schemas/v1/app.json

A path of a checkout does as well; the files in `examples/` name theirs so.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for kind in KINDS for line in _kind(kind)), TAIL.read_text()])


def _kind(kind: str) -> Iterator[str]:
    schema = json.loads((SCHEMAS / f"{kind}.json").read_text())
    yield f"## {schema['title']}\n\n{schema['description']}\n\n{PLACES[kind]}\n"
    yield "| key | form | meaning |\n| --- | --- | --- |"
    required = set(schema.get("required", ()))
    for name, value in schema["properties"].items():
        if name not in ("apiVersion", "kind"):
            yield from _rows(name, value, name in required)
    yield ""


def _rows(name: str, schema: dict[str, Any], required: bool) -> Iterator[str]:
    mark = " (required)" if required else ""
    yield f"| `{name}` | {_form(schema)}{mark} | {schema.get('description', '').replace('|', '&#124;')} |"
    inner, below = schema, name
    if "items" in schema:
        inner, below = schema["items"], f"{name}[]"
    elif isinstance(schema.get("additionalProperties"), dict):
        inner, below = schema["additionalProperties"], f"{name}.*"
    for option in inner.get("oneOf", []):
        inner = option if "properties" in option else inner
    wanted = set(inner.get("required", ()))
    for key, value in inner.get("properties", {}).items():
        yield from _rows(f"{below}.{key}", value, key in wanted)


def _form(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " or ".join(_form(option) for option in schema[key])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_form(schema['items'])}"
    return " or ".join(kind) if isinstance(kind, list) else {"object": "mapping", "string": "text"}.get(kind, kind)


def main() -> None:
    """Writes the page, or exits with 1 when it is out of date."""
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.is_file() and TARGET.read_text() == page() else 1)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(page())


if __name__ == "__main__":
    main()
