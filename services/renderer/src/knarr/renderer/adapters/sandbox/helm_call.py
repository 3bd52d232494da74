"""Renders a Helm chart, inside a sandboxed child. Called by launcher.py, asked for by adapters/helm.py.

`lookup` is given an address at which nothing is: a chart that really asks the cluster fails, one that only could does
not. Writes a JSON list of [path, YAML] to standard output; 3 and a message on standard error when Helm refuses.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import helm_python
from helm_python import _native

_NOWHERE = "https://127.0.0.1:1"
REFUSED = 3


def run(options: dict[str, Any]) -> int:
    """The exit code."""
    try:
        pieces = _rendered(options)
    except helm_python.HelmError as error:
        sys.stderr.write(str(error))
        return REFUSED
    sys.stdout.write(json.dumps(pieces))
    return 0


def _rendered(options: dict[str, Any]) -> list[tuple[str, str]]:
    chart = helm_python.Chart.load(os.path.join(options["root"], options["chart"]))
    values: dict[str, Any] = {}
    for path in options["values_files"]:
        with open(os.path.join(options["root"], path), encoding="utf-8") as file:
            values = _merged(values, helm_python.values_from_yaml(file.read()))
    values = _merged(values, options["values"])
    chart.validate_schema(values)
    settings = {"name": options["release"], "namespace": options["namespace"], "is_install": True, "revision": 1}
    if options.get("kube_version"):
        settings["kube_version"] = options["kube_version"]
    if options.get("api_versions"):
        settings["api_versions"] = options["api_versions"]
    nowhere = helm_python.Config(kube_apiserver=_NOWHERE)
    # The binding's own method lacks kube_version and api_versions, which the library takes.
    rendered = _native.call_string(
        "helm_render_with_config", nowhere._raw(), chart._raw(), json.dumps(values), json.dumps(settings)
    )
    crds = [(c["filename"], c["data"]) for c in chart.crds] if options["include_crds"] else []
    manifests = json.loads(rendered)
    return [*crds, *((path, text) for path, text in sorted(manifests.items()) if not path.endswith("NOTES.txt"))]


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
