"""What a held revision would delete, where, and what to do about it: in words, deletions first.

The approval names the exact revision; the other way out is to revert the commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SHORT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldWords:
    """The sentences of the page, the API and the terminal."""

    headline: str
    objects: int
    clusters: int
    removals: int
    kinds: tuple[tuple[str, int], ...]
    approve: str
    revert: str


def held_words(
    app: str, revision: str, losses: Sequence[Mapping[str, Any]], sha: str, source: str, waiting: int
) -> HeldWords:
    """`losses` as in the read model: groups of clusters that lose the same. `waiting`: clusters that do not get it."""
    objects = sum(_count(loss) * len(loss["clusters"]) for loss in losses)
    clusters = len({c for loss in losses for c in loss["clusters"]})
    removals = len({c for loss in losses if loss["app_removed"] for c in loss["clusters"]})
    return HeldWords(
        headline=_headline(app, losses, clusters, removals, waiting),
        objects=objects,
        clusters=clusters,
        removals=removals,
        kinds=_kinds(losses),
        approve=f"knarr approve {revision[:SHORT]}" if revision else "",
        revert=f"git revert {sha[:SHORT]}" + (f"    # in the source {source}" if source else "") if sha else "",
    )


def _headline(app: str, losses: Sequence[Mapping[str, Any]], clusters: int, removals: int, waiting: int) -> str:
    if not losses:
        return f"{app}: held in {_many(waiting, 'cluster')}; nothing was sent"
    if removals:
        return f"{app} would be removed from {_many(removals, 'cluster')}, with everything in it"
    most = max(losses, key=_count)
    same = {(_count(loss), loss["objects_before"]) for loss in losses}
    upto = "" if len(same) == 1 else "up to "
    of = f" of {most['objects_before']}" if most["objects_before"] else ""
    return f"{app} would lose {upto}{_count(most)}{of} objects in {_many(clusters, 'cluster')}"


def _count(loss: Mapping[str, Any]) -> int:
    return max(int(loss.get("object_count", 0)), len(loss["objects"]))


def _kinds(losses: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for loss in losses:
        for object_id in loss["objects"]:
            kind = object_id.split("/")[1] if object_id.count("/") >= 3 else "?"
            counts[kind] = counts.get(kind, 0) + len(loss["clusters"])
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s"
