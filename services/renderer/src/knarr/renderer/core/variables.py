"""Strict substitution of ${name} in rendered objects.

On for an app that has `variables`; each name it may use is declared there. A value that is exactly one reference takes
the variable's type, except where Kubernetes only takes text. $${name} writes ${name}. CustomResourceDefinitions are
never touched. Called per variant, after the tool, so that one rendering serves all clusters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from knarr.bundle.canonical import Object
from knarr.pipeline.failure import Failure
from knarr.renderer.core import kubernetes_schemas
from knarr.renderer.core.documents import App, Cluster, Target
from knarr.renderer.core.failures import failure
from knarr.renderer.core.scalars import Scalar

_REFERENCE = re.compile(r"(\$?)\$\{([^${}\n]{0,200})\}")
_API_FORM = r"(?:[a-z0-9][a-z0-9.-]{0,252}/)?v[0-9]+(?:(?:alpha|beta)[0-9]+)?(?:/[A-Z][A-Za-z0-9]{0,62})?"
_API = re.compile(r"(?:(?P<group>[a-z0-9.-]+)/)?(?P<version>v[0-9]+)(?:/(?P<kind>[A-Z]\w*))?")
_NAME = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]{0,63}"
    rf"|cluster\.(?:name|kubernetesVersion|labels\.[A-Za-z0-9./_-]{{1,317}}|capabilities\.{_API_FORM})"
)
_CAPABILITIES = "cluster.capabilities."
_TEXT_MAPS = frozenset({"labels", "annotations", "matchLabels", "nodeSelector"})
_TEXT_DATA = frozenset({"data", "stringData", "binaryData"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Substituted:
    """An object with its references replaced, or what stands in the way."""

    value: Any
    failures: tuple[Failure, ...] = ()


def references(value: Any) -> frozenset[str]:
    """Every name that `value` refers to, keys included."""
    found: set[str] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "${" in item:
                found.update(m.group(2) for m in _REFERENCE.finditer(item) if not m.group(1))
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return frozenset(found)


def exempt(manifest: Object) -> bool:
    """CRDs describe ${...} of their own: never touched."""
    return manifest.get("kind") == "CustomResourceDefinition"


def values_for(names: Iterable[str], app: App, target: Target, cluster: Cluster) -> dict[str, Scalar]:
    """The value of each of `names` that has one. Nearest to the cluster wins: cluster, target, the app's default."""
    declared = app.variables or {}
    found: dict[str, Scalar] = {}
    for name in names:
        value: Scalar = None
        if name.startswith("cluster."):
            value = _fact(name, cluster)
        elif name in declared:
            value = next(
                (m[name] for m in (cluster.variables, target.variables) if m.get(name) is not None), declared[name]
            )
        if value is not None:
            found[name] = value
    return found


def substitute(value: Any, values: Mapping[str, Scalar], origin: str, object_id: str = "") -> Substituted:
    """`value` with every reference replaced; each name without a value is a KNR2201."""
    missing: dict[str, None] = {}
    replaced = _walk(value, values, missing, text_only=False, depth=0)
    failures = tuple(
        failure(_code(name), _message(name), origin=origin, object_id=object_id) for name in sorted(missing)
    )
    return Substituted(value=value if failures else replaced, failures=failures)


def _code(name: str) -> str:
    return "KNR2201" if _NAME.fullmatch(name) else "KNR2202"


def _message(name: str) -> str:
    if not _NAME.fullmatch(name):
        return f"${{{name[:60]}}} is not the form of a variable; write $${{...}} where it is meant literally"
    return f"the variable {name!r} has no value here; set it in the cluster or the target, or give it a default"


def _fact(name: str, cluster: Cluster) -> Scalar:
    match name.removeprefix("cluster."):
        case "name":
            return str(cluster.name)
        case "kubernetesVersion":
            return cluster.kubernetes_version or None
    if name.startswith(_CAPABILITIES):
        return _serves(cluster, name.removeprefix(_CAPABILITIES))
    return cluster.labels.get(name.removeprefix("cluster.labels."))


def _serves(cluster: Cluster, api: str) -> bool | None:
    """Whether the cluster serves `group/version` or `group/version/Kind`; None when that is not known.

    Kubernetes' own stable APIs follow from its version; alpha and beta ones are off unless a cluster turns them on.
    """
    found = _API.fullmatch(api)
    if found is not None and kubernetes_schemas.is_own(found["group"] or ""):
        version = cluster.kubernetes_version
        return kubernetes_schemas.offers(version, api) if version else None
    if cluster.capabilities is None:
        return None
    return any(c == api or c.startswith(f"{api}/") for c in cluster.capabilities)


def _walk(value: Any, values: Mapping[str, Scalar], missing: dict[str, None], *, text_only: bool, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value, values, missing, text_only=text_only) if "${" in value else value
    if isinstance(value, list):
        return [_walk(item, values, missing, text_only=text_only, depth=depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        (_text(k, values, missing, text_only=True) if "${" in k else k): _walk(
            v, values, missing, text_only=text_only or _takes_text(k, v, value, depth), depth=depth + 1
        )
        for k, v in value.items()
    }


def _takes_text(key: str, value: Any, parent: Mapping[str, Any], depth: int) -> bool:
    if isinstance(value, dict):
        return key in _TEXT_MAPS or (depth == 0 and key in _TEXT_DATA)
    return key == "value" and "name" in parent


def _text(text: str, values: Mapping[str, Scalar], missing: dict[str, None], *, text_only: bool) -> Scalar:
    whole = _REFERENCE.fullmatch(text)
    if whole is not None and not whole.group(1) and not text_only:
        return _value(whole.group(2), values, missing)

    def replaced(match: re.Match[str]) -> str:
        if match.group(1):
            return match.group(0)[1:]
        return _as_text(_value(match.group(2), values, missing))

    return _REFERENCE.sub(replaced, text)


def _value(name: str, values: Mapping[str, Scalar], missing: dict[str, None]) -> Scalar:
    if name not in values:
        missing[name] = None
        return None
    return values[name]


def _as_text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
