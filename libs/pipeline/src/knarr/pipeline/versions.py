"""Versions of charts and tags, and ranges of them, as Chart.yaml, knarr.yaml and fleet.yaml write them."""

from __future__ import annotations

import re

from semantic_version import NpmSpec, Version  # type: ignore[import-untyped]

_LONGEST = 200
_SPACE_AFTER = re.compile(r"([<>=~^])\s+")


def version_of(text: str) -> Version | None:
    """A semantic version, with or without a leading `v`; None for anything else."""
    try:
        return Version(text.removeprefix("v")) if len(text) <= _LONGEST else None
    except ValueError:
        return None


def range_of(text: str) -> NpmSpec | None:
    """A range: `^1.2`, `1.x`, `>= 1.2, < 3`; None for anything else."""
    plain = " ".join(_SPACE_AFTER.sub(r"\1", text.replace(",", " ")).split())
    try:
        return NpmSpec(plain.removeprefix("v")) if text and len(text) <= _LONGEST else None
    except ValueError:
        return None


def satisfies(version: str, wanted: str) -> bool:
    """Whether a version lies in a range."""
    parsed, accepts = version_of(version), range_of(wanted)
    return parsed is not None and accepts is not None and parsed in accepts
