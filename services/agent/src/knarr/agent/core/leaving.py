"""What goes when an earlier applier's fields are handed to us and our manifest does not set them.

Read from managedFields; takeover asks for it before anything is adopted. An applier that does not use server-side apply
also owns what the server defaulted, so these fields need not really go: a dry run tells (`Writing.without`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from knarr.agent.core.ownership import LEGACY_MANAGERS, union

Pointer = tuple[str | int, ...]


def leaving(live: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Pointer, ...]:
    """Where `live` has fields that only legacy appliers set and that the apply which made `after` does not set.

    Deepest and last first, so that they can be removed one after the other.
    """
    legacy: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for entry in (live.get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") in LEGACY_MANAGERS and not entry.get("subresource"):
            legacy = union(legacy, entry.get("fieldsV1") or {})
    for entry in (after.get("metadata") or {}).get("managedFields") or ():
        if entry.get("manager") not in LEGACY_MANAGERS:
            kept = union(kept, entry.get("fieldsV1") or {})
    found = _gone(legacy, kept, live, ())
    return tuple(sorted(found, key=lambda p: [(isinstance(part, int), str(part).zfill(6)) for part in p], reverse=True))


def json_pointer(pointer: Pointer) -> str:
    """As RFC 6901 writes it."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in pointer)


def dotted(pointer: Pointer) -> str:
    """As differences are written."""
    text = ""
    for part in pointer:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _gone(legacy: Mapping[str, Any], kept: Mapping[str, Any], live: Any, at: Pointer) -> Iterator[Pointer]:
    for key, below in legacy.items():
        if key == "." or (place := _place(key, live)) is None:
            continue
        here, value = (*at, place), live[place]
        if key not in kept:
            whole = "." in below or not below
            yield from ([here] if whole else _gone(below, {}, value, here))
        elif below and kept[key]:
            yield from _gone(below, kept[key], value, here)


def _place(key: str, live: Any) -> str | int | None:
    """Where in `live` the field or list item lies that managedFields writes so."""
    name = key[2:]
    if key.startswith("f:") and isinstance(live, Mapping):
        return name if name in live else None
    if not isinstance(live, list):
        return None
    wanted = orjson.loads(name)
    for index, item in enumerate(live):
        if key.startswith("v:") and item == wanted:
            return index
        if key.startswith("k:") and isinstance(item, Mapping) and all(item.get(k) == v for k, v in wanted.items()):
            return index
    return None
