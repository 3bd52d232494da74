"""Who owns which field: reading managedFields.

The server keeps, per field manager, the set of fields it set. When somebody else changes a field of ours, the field
leaves our set; so a fingerprint of our set tells drift without ever reading a value. plan and observe use this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from knarr.pipeline.names import FIELD_MANAGER

# Managers of appliers that hand over to us: their fields become ours, so that what the bundle leaves out goes.
LEGACY_MANAGERS = frozenset(
    {
        "kubectl-client-side-apply", "kubectl-create", "kubectl-edit", "kubectl", "before-first-apply",
        "helm", "helm-controller", "kustomize-controller", "flux", "flux-client-side-apply", "gotk-reconciler",
        "argocd-controller", "argocd-application-controller", "argocd-server",
    }
)  # fmt: skip
# Under this name the agent creates the namespaces that apps lie in and that no app owns.
NAMESPACE_MANAGER = f"{FIELD_MANAGER}-namespaces"
_MAX_PATHS = 20


def our_entry(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Our server-side-apply entry in managedFields."""
    for entry in metadata.get("managedFields") or ():
        if entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return entry  # type: ignore[no-any-return]
    return None


def mark_of(metadata: Mapping[str, Any]) -> bytes:
    """Fingerprint (12 bytes) of the fields that we own and of when we last set them; empty when we own none."""
    entry = our_entry(metadata)
    if entry is None:
        return b""
    said = orjson.dumps((entry.get("fieldsV1"), entry.get("time")), option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(said, digest_size=12).digest()


def lost_paths(manifest: Mapping[str, Any], metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that the manifest sets and that are not ours (any more), as dotted paths; at most 20."""
    entry = our_entry(metadata)
    fields = (entry or {}).get("fieldsV1") or {}
    body = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind")}
    found: list[str] = []
    for path in _missing(body, fields, ""):
        if path not in _IDENTITY:
            found.append(path)
        if len(found) == _MAX_PATHS:
            break
    return tuple(found)


_IDENTITY = frozenset({"metadata.name", "metadata.namespace"})


def changed_by(metadata: Mapping[str, Any]) -> str:
    """The manager that wrote last, other than us; empty when nobody else wrote."""
    others = [
        e
        for e in metadata.get("managedFields") or ()
        if not (e.get("manager") == FIELD_MANAGER and e.get("operation") == "Apply")
        and e.get("subresource") != "status"
    ]
    latest = max(others, key=lambda e: str(e.get("time", "")), default=None)
    return str(latest.get("manager", "")) if latest else ""


def managers_of(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    """Every other manager of the object (status writers aside), in order of name."""
    names = {
        str(e.get("manager", ""))
        for e in metadata.get("managedFields") or ()
        if e.get("subresource") != "status" and e.get("manager") != FIELD_MANAGER
    }
    return tuple(sorted(names))


def migrated(metadata: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """managedFields with the legacy appliers' fields handed to us; None when there is nothing to hand over."""
    entries = [dict(e) for e in metadata.get("managedFields") or ()]
    legacy = [e for e in entries if e.get("manager") in LEGACY_MANAGERS and not e.get("subresource")]
    if not legacy:
        return None
    ours = dict(our_entry(metadata) or {**legacy[0], "manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": {}})
    for entry in legacy:
        ours["fieldsV1"] = union(ours.get("fieldsV1") or {}, entry.get("fieldsV1") or {})
    rest = [e for e in entries if e not in legacy and e != our_entry(metadata)]
    return [*rest, ours]


def owned_paths(fields: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The leaves of a fieldsV1 tree as dotted paths."""
    for key, below in fields.items():
        if key == ".":
            continue
        path = f"{above}.{key[2:]}" if above else key[2:]
        if isinstance(below, Mapping) and any(k != "." for k in below):
            yield from owned_paths(below, path)
        else:
            yield path


def union(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Two fieldsV1 trees as one."""
    merged = dict(left)
    for key, below in right.items():
        merged[key] = union(merged.get(key) or {}, below or {})
    return merged


def _missing(value: Any, fields: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, below in value.items():
            if below is None:
                continue
            here = f"{path}.{key}" if path else str(key)
            known = fields.get(f"f:{key}")
            if known is None and isinstance(below, Mapping) and below:
                yield from _missing(below, {}, here)
            elif known is None:
                yield here
            elif known:
                yield from _missing(below, known, here)
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _missing_item(item, fields, f"{path}[{index}]")


def _missing_item(item: Any, fields: Mapping[str, Any], path: str) -> Iterator[str]:
    keyed = [k for k in fields if k.startswith("k:")]
    if keyed and isinstance(item, Mapping):
        for key in keyed:
            wanted = orjson.loads(key[2:])
            if all(item.get(name, given) == given for name, given in wanted.items()):
                yield from _missing(item, fields[key], path)
                return
        yield path
    elif any(k.startswith("v:") for k in fields) and f"v:{orjson.dumps(item).decode()}" not in fields:
        yield path
