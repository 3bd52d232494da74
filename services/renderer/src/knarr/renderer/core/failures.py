"""Failures as values: the core collects them all and raises none."""

from __future__ import annotations

from knarr.pipeline.errors import failure_of, rejected
from knarr.pipeline.failure import Failure


def failure(code: str, message: str, *, origin: str = "", object_id: str = "") -> Failure:
    """A numbered failure with the catalogue's next step."""
    return failure_of(rejected(code, message, origin=origin, object_id=object_id))
