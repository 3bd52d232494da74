"""The difference of two renderings of a fleet, by what really changes: one difference per distinct pair of bundles.

Pure. Secrets are masked on both sides alike: that a value changed is said, never what it was or is (I9).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from knarr.bundle.budget import stable_id
from knarr.bundle.canonical import Object, id_of
from knarr.bundle.header import header_to_json
from knarr.bundle.packing import Bundle, unpack
from knarr.renderer.core.secrets import is_secret

_MASK = "(masked)"
_WAS, _IS = "(masked, before)", "(masked, changed)"
Placed = Mapping[str, Mapping[str, bytes]]  # app → cluster → bundle digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectChange:
    """One object before and after. `lines` is a unified difference without file names."""

    object_id: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantChange:
    """Clusters in which the same bundle becomes the same other one. Empty digests: the app comes or goes."""

    app: str
    clusters: tuple[str, ...]
    before: bytes = b""
    after: bytes = b""
    deleted: tuple[str, ...] = ()
    created: tuple[ObjectChange, ...] = ()
    changed: tuple[ObjectChange, ...] = ()
    header: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetChange:
    """Everything that changes. Deletions first. `detached` clusters left the fleet: nothing is deleted there (I1)."""

    variants: tuple[VariantChange, ...] = ()
    detached: tuple[str, ...] = ()
    clusters_before: int = 0
    clusters_after: int = 0

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters that change."""
        return tuple(sorted({c for v in self.variants for c in v.clusters}))

    @property
    def deletions(self) -> int:
        """Objects deleted, counted in every cluster."""
        return sum(len(v.deleted) * len(v.clusters) for v in self.variants)


def compare(before: Placed, after: Placed, plain: Mapping[bytes, bytes]) -> FleetChange:
    """What `after` changes. `plain` holds every bundle's bytes by digest."""
    pairs: dict[tuple[str, bytes, bytes], list[str]] = {}
    for app in sorted({*before, *after}):
        old, new = before.get(app, {}), after.get(app, {})
        for cluster in sorted({*old, *new}):
            was, becomes = old.get(cluster, b""), new.get(cluster, b"")
            if was != becomes:
                pairs.setdefault((app, was, becomes), []).append(cluster)
    variants = [_variant(app, clusters, old, new, plain) for (app, old, new), clusters in pairs.items()]
    return FleetChange(
        variants=tuple(sorted(variants, key=lambda v: (-len(v.deleted), v.app, v.clusters))),
        clusters_before=len({c for placed in before.values() for c in placed}),
        clusters_after=len({c for placed in after.values() for c in placed}),
    )


def _variant(app: str, clusters: list[str], before: bytes, after: bytes, plain: Mapping[bytes, bytes]) -> VariantChange:
    old_bundle = unpack(plain[before]) if before else None
    new_bundle = unpack(plain[after]) if after else None
    old, new = _by_identity(old_bundle), _by_identity(new_bundle)
    return VariantChange(
        app=app,
        clusters=tuple(clusters),
        before=before,
        after=after,
        deleted=tuple(sorted(id_of(old[key]) for key in old.keys() - new.keys())),
        created=tuple(
            ObjectChange(object_id=id_of(new[key]), lines=_lines(None, new[key]))
            for key in sorted(new.keys() - old.keys())
        ),
        changed=tuple(
            ObjectChange(object_id=id_of(new[key]), lines=_lines(old[key], new[key]))
            for key in sorted(old.keys() & new.keys())
            if old[key] != new[key]
        ),
        header=_header_lines(old_bundle, new_bundle),
    )


def _by_identity(bundle: Bundle | None) -> dict[str, Object]:
    """A rename of only kustomize's hash suffix is a change, not a deletion and a creation."""
    if bundle is None:
        return {}
    ids = [id_of(manifest) for manifest in bundle.objects]
    stable = [stable_id(identity) or identity for identity in ids]
    return {
        (short if stable.count(short) == 1 else identity): manifest
        for identity, short, manifest in zip(ids, stable, bundle.objects, strict=True)
    }


def _lines(before: Object | None, after: Object) -> tuple[str, ...]:
    old = _text(_masked(before, after, _WAS)) if before is not None else []
    return tuple(_unified(old, _text(_masked(after, before, _IS))))


def _unified(before: Iterable[str], after: Iterable[str]) -> Iterable[str]:
    for line in difflib.unified_diff(list(before), list(after), lineterm="", n=2):
        if not line.startswith(("---", "+++")):
            yield line


def _masked(manifest: Object, other: Object | None, changed: str) -> Object:
    """A Secret's values as marks: equal values get the same mark on both sides, changed ones a mark of their side."""
    if not is_secret(manifest):
        return manifest
    masked = dict(manifest)
    for field in ("data", "stringData"):
        values, others = manifest.get(field), (other or {}).get(field)
        if isinstance(values, dict):
            known = others if isinstance(others, dict) else {}
            masked[field] = {
                key: changed if key in known and known[key] != value else _MASK for key, value in values.items()
            }
    return masked


def _header_lines(before: Bundle | None, after: Bundle | None) -> tuple[str, ...]:
    if before is None or after is None or before.header == after.header:
        return ()
    return tuple(_unified(_text(header_to_json(before.header)), _text(header_to_json(after.header))))


def _text(value: Any) -> list[str]:
    dumped: str = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=True, default_flow_style=False, width=4096)
    return dumped.splitlines()
