"""A Helm repository's index.yaml: the versions of one chart, read from the stream of YAML's events.

An index is foreign and may hold tens of thousands of versions. Nothing of it is built but the entries of the chart
asked for; depth and events are counted, and aliases, which honest indexes do not have, are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from knarr.pipeline.errors import rejected

INDEX_BYTES = 16 * 1024 * 1024
_DEPTH = 24
_EVENTS = 1_000_000
_VERSIONS = 20_000
_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A version of a chart that a repository has: where its archive lies, and its sha256 in hex if it says so."""

    version: str
    location: str = ""
    digest: str = ""


def offers_in(index: bytes, name: str) -> tuple[Offer, ...]:
    """The versions of chart `name`. KNR1053 for an index that cannot be read, KNR1052 when it has no such chart."""
    if len(index) > INDEX_BYTES:
        raise rejected("KNR1053", f"index.yaml is larger than {INDEX_BYTES} bytes")
    found: list[dict[str, str]] = []
    try:
        for number, path, value in _scalars(index):
            if path[:2] != ("entries", name):
                continue
            if number >= _VERSIONS:
                raise rejected("KNR1053", f"index.yaml lists more than {_VERSIONS} versions of {name[:80]}")
            while len(found) <= number:
                found.append({})
            found[number].setdefault(".".join(path[2:]), value)
    except (yaml.YAMLError, UnicodeError, ValueError, RecursionError) as error:
        raise rejected("KNR1053", f"index.yaml is not YAML: {type(error).__name__}") from error
    if not found:
        raise rejected("KNR1052", f"the repository has no chart {name[:80]!r}")
    return tuple(
        Offer(version=v["version"], location=v["urls"], digest=v.get("digest", "").removeprefix("sha256:").lower())
        for v in found
        if v.get("version") and v.get("urls")
    )


def _scalars(index: bytes) -> Iterator[tuple[int, _Path, str]]:
    """(which item of the chart's list, path of keys, value) of every scalar; the first item of an inner list counts."""
    walk = _Walk()
    for count, event in enumerate(yaml.parse(index, Loader=_loader())):
        if count > _EVENTS:
            raise rejected("KNR1053", "index.yaml has too many parts")
        found = walk.step(event)
        if found is not None:
            yield found


class _Walk:
    """Where in the document the events are. A frame is [is a mapping, the key that waits for its value, items]."""

    def __init__(self) -> None:
        self._frames: list[list[object]] = []

    def step(self, event: yaml.Event) -> tuple[int, _Path, str] | None:
        if isinstance(event, yaml.AliasEvent):
            raise rejected("KNR1053", "index.yaml holds YAML aliases")
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(isinstance(event, yaml.MappingStartEvent))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._frames.pop()
            self._ended()
        elif isinstance(event, yaml.ScalarEvent):
            return self._scalar(str(event.value))
        return None

    def _begin(self, mapping: bool) -> None:
        if len(self._frames) >= _DEPTH:
            raise rejected("KNR1053", f"index.yaml is nested deeper than {_DEPTH}")
        if self._frames and self._frames[-1][0] and self._frames[-1][1] is None:
            raise rejected("KNR1053", "index.yaml has a key that is no text")
        self._frames.append([mapping, None, 0])

    def _scalar(self, value: str) -> tuple[int, _Path, str] | None:
        if not self._frames:
            return None
        top = self._frames[-1]
        if top[0] and top[1] is None:
            top[1] = value
            return None
        path = tuple(str(f[1]) for f in self._frames if f[0])
        number = next((int(str(f[2])) for f in self._frames if not f[0]), 0)
        self._ended()
        return number, path, value

    def _ended(self) -> None:
        """The value of a key, or an item of a list, is complete."""
        if self._frames:
            top = self._frames[-1]
            if top[0]:
                top[1] = None
            else:
                top[2] = int(str(top[2])) + 1


def _loader() -> type:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
