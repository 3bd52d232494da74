"""What a renderer made of a folder, before variables: objects with their origins.

One `Raw` serves every cluster whose tool inputs agree. It is what the cache keeps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from knarr.bundle.canonical import group_of
from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.normalise import Found, flatten
from knarr.renderer.core.variables import exempt, references
from knarr.renderer.core.yaml_kubectl import read_documents

_KUSTOMIZE_API = "kustomize.config.k8s.io/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Objects and origins; `names` are the variables that they refer to, `kinds` (group, kind) what they are."""

    found: tuple[Found, ...] = ()
    names: frozenset[str] = frozenset()
    kinds: frozenset[tuple[str, str]] = frozenset()
    failures: tuple[Failure, ...] = ()


def raw_of(files: Iterable[tuple[str, bytes]], limits: Limits) -> Raw:
    """The objects in `files` (path, content). Every fault of every file is reported."""
    found: list[Found] = []
    failures: list[Failure] = []
    for path, data in files:
        try:
            documents = read_documents(data, path, limits)
        except KnarrError as error:
            failures.append(failure_of(error))
            continue
        for document in documents:
            if _is_kustomization(document.value):
                message = "a kustomization below a plain folder: name its folder as `path` or as a target's overlay"
                failures.append(failure("KNR2107", message, origin=document.origin))
                continue
            for item in flatten(document.value, document.origin):
                (found if isinstance(item, Found) else failures).append(item)  # type: ignore[arg-type]
    return with_names(found, failures)


def with_names(found: Iterable[Found], failures: Iterable[Failure] = ()) -> Raw:
    """A Raw of `found`, with the variables that it refers to."""
    kept = tuple(found)
    names = frozenset(n for f in kept if not exempt(f.manifest) for n in references(f.manifest))
    kinds = frozenset((group_of(f.manifest["apiVersion"]), f.manifest["kind"]) for f in kept)
    return Raw(found=kept, names=names, kinds=kinds, failures=tuple(failures))


def to_bytes(raw: Raw) -> bytes:
    """For the cache."""
    return orjson.dumps([[f.origin, f.manifest] for f in raw.found])


def from_bytes(data: bytes) -> Raw:
    """From the cache. ValueError when the bytes are not from there."""
    return with_names(Found(origin=origin, manifest=manifest) for origin, manifest in orjson.loads(data))


def _is_kustomization(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("apiVersion", "")).startswith(_KUSTOMIZE_API)
