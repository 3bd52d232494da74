"""Fields that other appliers may own: left out of what is applied where another owns them, else ours as any other.

The app lists them by JSON pointer (`ignoreFields`). Used by plan; the ownership is read from managedFields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from knarr.agent.core.objects import Ref
from knarr.agent.core.ownership import LEGACY_MANAGERS, union
from knarr.bundle.canonical import Object
from knarr.bundle.header import Header, IgnoredField
from knarr.pipeline.names import FIELD_MANAGER

_NOTHING: Any = object()


def pointers_for(header: Header, ref: Ref) -> tuple[str, ...]:
    """The pointers that the app lists for this object."""
    return tuple(p for field in header.ignored_fields if _matches(field, ref) for p in field.pointers)


def owned_by_others(metadata: Mapping[str, Any], *, taking_over: bool) -> Mapping[str, Any]:
    """The fields (as fieldsV1) of every other manager.

    When the object is being taken over, appliers that hand it over to us do not count: their fields become ours.
    """
    fields: Mapping[str, Any] = {}
    for entry in metadata.get("managedFields") or ():
        manager, subresource = entry.get("manager"), entry.get("subresource")
        if manager == FIELD_MANAGER and entry.get("operation") == "Apply" and not subresource:
            continue
        if taking_over and manager in LEGACY_MANAGERS and not subresource:
            continue
        fields = union(fields, entry.get("fieldsV1") or {})
    return fields


def yielding(manifest: Object, pointers: Iterable[str], others: Mapping[str, Any]) -> Object:
    """The manifest without those of the pointers' fields that others own."""
    left: Any = manifest
    for pointer in pointers if others else ():
        left = _less(left, others, _tokens(pointer))
    return left if isinstance(left, dict) else manifest


def _less(value: Any, fields: Mapping[str, Any] | None, tokens: tuple[str, ...]) -> Any:
    """`value` without what lies at the tokens and is in `fields`; `fields` is {} below a field owned as a whole."""
    if fields is None:
        return value
    if not tokens:
        return _unowned(value, fields)
    token, rest = tokens[0], tokens[1:]
    if isinstance(value, Mapping) and token in value:
        return _with(value, token, _less(value[token], _below(fields, f"f:{token}"), rest))
    if isinstance(value, list) and token.isdigit() and int(token) < len(value):
        place = int(token)
        below, keys = _item(fields, value[place])
        kept = _keyed(_less(value[place], below, rest), value[place], keys)
        return [*value[:place], *(() if kept is _NOTHING else (kept,)), *value[place + 1 :]]
    return value


def _unowned(value: Any, fields: Mapping[str, Any]) -> Any:
    parts = [k for k in fields if k != "."]
    if not parts:
        return _NOTHING
    if isinstance(value, Mapping):
        kept = {k: _owned_part(v, fields.get(f"f:{k}")) for k, v in value.items()}
        left = {k: v for k, v in kept.items() if v is not _NOTHING}
        return left or _NOTHING
    if isinstance(value, list):
        items = [_unowned_item(item, fields) for item in value]
        return [i for i in items if i is not _NOTHING] or _NOTHING
    return _NOTHING


def _unowned_item(item: Any, fields: Mapping[str, Any]) -> Any:
    below, keys = _item(fields, item)
    return _keyed(_owned_part(item, below), item, keys)


def _owned_part(value: Any, fields: Mapping[str, Any] | None) -> Any:
    return value if fields is None else _unowned(value, fields)


def _below(fields: Mapping[str, Any], step: str) -> Mapping[str, Any] | None:
    """What others own below a step; None when they own nothing there."""
    if any(k != "." for k in fields):
        found: Mapping[str, Any] | None = fields.get(step)
        return found
    return {}


def _item(fields: Mapping[str, Any], item: Any) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    """What others own of a list's item, and the names of the fields that tell it from the other items."""
    if not any(k != "." for k in fields):
        return {}, ()
    for key, below in fields.items():
        if key.startswith("k:") and isinstance(item, Mapping):
            wanted: Mapping[str, Any] = orjson.loads(key[2:])
            if all(item.get(name, given) == given for name, given in wanted.items()):
                return below or {}, tuple(wanted)
        elif key.startswith("v:") and orjson.loads(key[2:]) == item:
            return {}, ()
    return None, ()


def _keyed(kept: Any, item: Any, keys: tuple[str, ...]) -> Any:
    """What is left of an item still says which item it is."""
    return {**{k: item[k] for k in keys if k in item}, **kept} if isinstance(kept, Mapping) and keys else kept


def _with(value: Mapping[str, Any], token: str, changed: Any) -> Any:
    """An empty map would still be set, and be ours: what becomes empty goes too."""
    if changed is not _NOTHING:
        return {**value, token: changed}
    return {k: v for k, v in value.items() if k != token} or _NOTHING


def _tokens(pointer: str) -> tuple[str, ...]:
    return tuple(t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:])


def _matches(field: IgnoredField, ref: Ref) -> bool:
    wanted = (field.group, field.kind, field.namespace, field.name)
    given = (ref.of_kind.group, ref.kind, ref.namespace, ref.name)
    return all(not w or w == g for w, g in zip(wanted, given, strict=True))
