"""Server-side apply without a schema: field sets as in managedFields, merging, conflicts.

Lists of objects are associative where every item has one of the keys that Kubernetes uses; other lists are atomic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

Fields = dict[str, Any]
# By field name: the keys of its items. Items of a list that lack its keys make it atomic.
_LIST_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "env": (("name",),),
    "containers": (("name",),),
    "initContainers": (("name",),),
    "volumes": (("name",),),
    "volumeMounts": (("mountPath",),),
    "imagePullSecrets": (("name",),),
    "conditions": (("type",),),
    "ownerReferences": (("uid",),),
    "hostAliases": (("ip",),),
    "webhooks": (("name",),),
}
_DEFAULTS = {"protocol": "TCP"}
_SETS = frozenset({"finalizers"})


def fields_of(value: Any, name: str = "") -> Fields:
    """The field set that applying `value` owns."""
    if isinstance(value, Mapping):
        return {f"f:{k}": fields_of(v, k) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        if name in _SETS:
            return {f"v:{_json(v)}": {} for v in value}
        if (keys := keys_of(name, value)) is not None:
            return {item_key(item, keys): {".": {}, **fields_of(item)} for item in value}
    return {}


def top_fields(manifest: Mapping[str, Any]) -> Fields:
    """The field set of a whole manifest: identity is nobody's."""
    metadata = {k: v for k, v in (manifest.get("metadata") or {}).items() if k not in _NOT_OWNED}
    rest = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind", "metadata", "status")}
    return fields_of({**rest, **({"metadata": metadata} if metadata else {})})


_NOT_OWNED = frozenset(
    {"name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"}
)


def keys_of(name: str, items: list[Any]) -> tuple[str, ...] | None:
    """The keys by which items of this list are told apart; None when the list is atomic."""
    for keys in _LIST_KEYS.get(name, ()):
        if items and all(isinstance(i, Mapping) and all(k in i or k in _DEFAULTS for k in keys) for i in items):
            return keys
    return None


def item_key(item: Mapping[str, Any], keys: Iterable[str]) -> str:
    """The `k:` element of a list item."""
    return "k:" + _json({k: item.get(k, _DEFAULTS.get(k)) for k in sorted(keys)})


def leaves(fields: Fields, above: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """All leaf paths of a field set."""
    found: set[tuple[str, ...]] = set()
    for key, below in fields.items():
        if key == ".":
            continue
        inner = {k: v for k, v in below.items() if k != "."} if below else {}
        found |= leaves(inner, (*above, key)) if inner else {(*above, key)}
    return found


def without(fields: Fields, gone: set[tuple[str, ...]], above: tuple[str, ...] = ()) -> Fields:
    """The field set less some leaves; branches that become empty go too."""
    kept: Fields = {}
    for key, below in fields.items():
        path = (*above, key)
        if key == "." or path in gone:
            if key == ".":
                kept[key] = below
            continue
        inner = {k: v for k, v in below.items() if k != "."} if below else {}
        if not inner:
            kept[key] = below
        elif (rest := without(below, gone, path)) and any(k != "." for k in rest):
            kept[key] = rest
    return kept


def value_at(value: Any, path: tuple[str, ...]) -> Any:
    """What lies at a path; None when nothing does."""
    for step in path:
        if value is None:
            return None
        value = _child(value, step)
    return value


def merged(live: Any, wanted: Any, name: str = "") -> Any:
    """`wanted` put onto `live`: maps and associative lists merge, everything else is replaced."""
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        out = dict(live)
        for key, value in wanted.items():
            out[key] = merged(out.get(key), value, key) if value is not None else out.get(key)
        return out
    if isinstance(wanted, list) and (keys := keys_of(name, wanted)) is not None and isinstance(live, list):
        return _merged_items(live, wanted, keys)
    if isinstance(wanted, list) and name in _SETS and isinstance(live, list):
        return [*live, *(w for w in wanted if w not in live)]
    return wanted


def removed(value: Any, paths: set[tuple[str, ...]]) -> Any:
    """`value` without what lies at these leaf paths; maps that become empty stay."""
    for path in sorted(paths, key=lambda p: (_is_item_key(p), -len(p))):
        value = _removed_one(value, path)
    return value


def _is_item_key(path: tuple[str, ...]) -> bool:
    return len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in orjson.loads(path[-2][2:])


def _merged_items(live: list[Any], wanted: list[Any], keys: tuple[str, ...]) -> list[Any]:
    out = [dict(i) if isinstance(i, Mapping) else i for i in live]
    places = {item_key(i, keys): n for n, i in enumerate(out) if isinstance(i, Mapping)}
    for item in wanted:
        key = item_key(item, keys)
        if key in places:
            out[places[key]] = merged(out[places[key]], item)
        else:
            out.append(item)
    return out


def _removed_one(value: Any, path: tuple[str, ...]) -> Any:
    step, rest = path[0], path[1:]
    if step.startswith("f:") and isinstance(value, Mapping):
        key = step[2:]
        if key not in value:
            return value
        if not rest:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: _removed_one(value[key], rest)}
    if isinstance(value, list) and step.startswith("k:"):
        wanted = orjson.loads(step[2:])
        kept: list[Any] = []
        for item in value:
            if not _matches(item, wanted):
                kept.append(item)
            elif len(rest) == 1 and rest[0][2:] in wanted:
                kept += [item] if set(item) - set(wanted) else []  # an item without anything but its keys goes
            elif rest:
                kept.append(_removed_one(item, rest))
        return kept
    if isinstance(value, list) and step.startswith("v:"):
        return [v for v in value if _json(v) != step[2:]]
    return value


def _child(value: Any, step: str) -> Any:
    if step.startswith("f:") and isinstance(value, Mapping):
        return value.get(step[2:])
    if step.startswith("k:") and isinstance(value, list):
        wanted = orjson.loads(step[2:])
        return next((i for i in value if _matches(i, wanted)), None)
    if step.startswith("v:") and isinstance(value, list):
        return next((i for i in value if _json(i) == step[2:]), None)
    return None


def _matches(item: Any, wanted: Mapping[str, Any]) -> bool:
    return isinstance(item, Mapping) and all(item.get(k, _DEFAULTS.get(k)) == v for k, v in wanted.items())


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
