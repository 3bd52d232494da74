"""Versions of charts and tags, and ranges of them, as Chart.yaml, knarr.yaml and fleet.yaml write them.

What Helm takes in Chart.yaml is taken: commas, spaces, `v`, `=>`, `~>`, `!=`; and a range that names a pre-release
admits pre-releases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from semantic_version import NpmSpec, Version  # type: ignore[import-untyped]

_LONGEST = 200
_SPACE_AFTER = re.compile(r"([<>=~^!])\s+")
_PREFIX = re.compile(r"(^|[\s<>=~^])v(?=\d)")
_EXCLUDED = re.compile(r"!=\s*(\S+)")
_PRE_RELEASE = re.compile(r"(\d+\.\d+\.\d+)-[0-9A-Za-z.-]+")
_SAME = (("=>", ">="), ("=<", "<="), ("~>", "~"))


@dataclass(frozen=True, slots=True)
class Range:
    """Versions that lie in `spec` and are none of `excluded`. `pre_releases`: the cores that name one."""

    spec: NpmSpec
    excluded: frozenset[str] = frozenset()
    pre_releases: frozenset[str] = frozenset()

    def __contains__(self, version: Version) -> bool:
        if str(version) in self.excluded:
            return False
        if version in self.spec:
            return True
        core = version.truncate()
        return bool(
            version.prerelease and self.pre_releases and str(core) not in self.pre_releases and core in self.spec
        )


def version_of(text: str) -> Version | None:
    """A semantic version, with or without a leading `v`; None for anything else."""
    try:
        return Version(text.removeprefix("v")) if len(text) <= _LONGEST and text.strip() == text else None
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def range_of(text: str) -> Range | None:
    """A range: `^1.2`, `1.x`, `>= v1.2, < 3`, `!=1.3.0`; None for anything else."""
    if not text.strip() or len(text) > _LONGEST:
        return None
    plain = text.replace(",", " ")
    for written, meant in _SAME:
        plain = plain.replace(written, meant)
    plain = _PREFIX.sub(r"\1", _SPACE_AFTER.sub(r"\1", plain))
    excluded = frozenset(_EXCLUDED.findall(plain))
    if excluded and "||" in plain:
        return None
    plain = " ".join(_EXCLUDED.sub("", plain).split()) or "*"
    try:
        return Range(NpmSpec(plain), excluded, frozenset(_PRE_RELEASE.findall(plain)))
    except Exception:  # noqa: BLE001 - the parser raises AttributeError and more on texts such as "1 - ~0"
        return None


def satisfies(version: str, wanted: str) -> bool:
    """Whether a version lies in a range."""
    parsed, accepts = version_of(version), range_of(wanted)
    return parsed is not None and accepts is not None and parsed in accepts
