"""Checks on normalised objects before anything leaves the renderer. Every fault of every object is reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from knarr.bundle.canonical import Object, id_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import ObjectId
from knarr.renderer.core.documents import App
from knarr.renderer.core.secrets import secret_faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What stands in the way, and what only deserves a word."""

    failures: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()


def validate(objects: Iterable[Object], origins: Mapping[ObjectId, str], app: App, kubernetes_version: str) -> Checked:
    """The faults of `objects` for clusters of `kubernetes_version` (as 1.36; empty: unknown)."""
    failures: list[Failure] = []
    for manifest in objects:
        origin = origins.get(id_of(manifest), "")
        failures.extend(secret_faults(manifest, origin, allow_plaintext=app.allow_plaintext_secrets))
    return Checked(failures=tuple(failures))
