"""Words that the attacks on rollout's decisions share: a fleet of four, objects by number, a commit in a line."""

from __future__ import annotations

from typing import Any

from knarr.pipeline.decision import AppVerdict
from knarr.testkit.fleet_story import Story

CLUSTERS = ("c1", "c2", "c3", "c4")
Content = tuple[str, ...]


def objects(count: int, prefix: str = "o") -> Content:
    """So many objects of one app."""
    return tuple(f"{prefix}{n}" for n in range(count))


async def put(story: Story, **contents: Content | None) -> dict[str, AppVerdict]:
    """A commit that gives apps these contents in all clusters; app → verdict."""
    apps: dict[str, Any] = {a: (CLUSTERS, c) if c is not None else None for a, c in contents.items()}
    return story.verdicts(await story.commit(**apps))
