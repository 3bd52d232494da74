"""Random histories of commits, reports and restarts: the promises that no order of events may break (I1, I2, I3)."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.pipeline.report import AppState
from knarr.testkit.fleet_story import Story, digest_for, restarted, start_story
from knarr.testkit.rollout_store import MemoryStore

CLUSTERS = ("c1", "c2")
APPS = ("a", "b")
OBJECTS = {app: tuple(f"{app}{n}" for n in range(20)) for app in APPS}
# What a commit does to an app: all objects again, some fewer than before, or the app is gone.
COMMITS = st.dictionaries(
    st.sampled_from(APPS), st.just("all") | st.integers(1, 4) | st.just("gone"), min_size=1, max_size=2
).map(lambda apps: ("commit", apps))
REPORTS = st.tuples(st.just("report"), st.sampled_from(CLUSTERS), st.sampled_from(APPS))
FAILURES = st.tuples(st.just("fail"), st.sampled_from(APPS))
RESTARTS = st.just(("restart",))
BLIND = st.just(("unreadable",))
EVENTS = st.lists(COMMITS | COMMITS | REPORTS | REPORTS | FAILURES | RESTARTS | BLIND, min_size=3, max_size=16)
START = ("commit", dict.fromkeys(APPS, "all"))


class Cluster:
    """What a faithful agent would hold: everything of the newest assignment, and nothing deleted that it must not."""

    def __init__(self) -> None:
        self.objects: dict[str, set[str]] = {app: set() for app in APPS}
        self.generation = 0

    def take(self, story: Story, name: str) -> None:
        """Obeys the newest assignment; every deletion must be within the budget of what is confirmed here."""
        header, body = story.assignment(name)
        assert header.generation >= self.generation
        self.generation = header.generation
        assert body.tombstones == (), "nothing was approved, so nothing may be removed"
        for assigned in body.apps:
            wanted = next(
                set(objects)
                for objects in known_contents(assigned.app)
                if digest_for(assigned.app, objects) == assigned.digest
            )
            before = self.objects[assigned.app]
            lost = before - wanted
            if not assigned.defer_prune:
                assert len(lost) < 3 or len(lost) <= 0.2 * len(before), (assigned.app, before, wanted)
                assert wanted or not before, "an app is never emptied unasked"
                before -= lost
            before |= wanted


_CONTENTS: dict[str, dict[tuple[str, ...], None]] = {app: {} for app in APPS}


def known_contents(app: str) -> list[tuple[str, ...]]:
    """Every content that a commit of this run gave the app."""
    return list(_CONTENTS[app])


def content_after(story: Story, app: str, what: object) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The app's content once a commit did `what` to it."""
    if what == "gone":
        return None
    now = story.apps.get(app, ((), OBJECTS[app]))[1]
    objects = now[: len(now) - what] if isinstance(what, int) else OBJECTS[app]
    _CONTENTS[app][objects] = None
    return (CLUSTERS, objects)


async def play(events: list[tuple[Any, ...]]) -> None:
    """Runs one history; clusters take their assignment only when they report, so deletions pile up in between."""
    story = await start_story(MemoryStore(), CLUSTERS)
    clusters = {name: Cluster() for name in CLUSTERS}
    for event in [START, *events]:
        match event:
            case ("commit", apps):
                changed: dict[str, Any] = {app: content_after(story, app, what) for app, what in apps.items()}
                await story.commit(**changed)
            case ("fail", app):
                await story.commit(failed={app: ()})
            case ("unreadable",):
                await story.commit(source_read=False, fleet_read=False)
            case ("restart",):
                story = await restarted(story)
            case ("report", name, app):
                if name in story.outbox.assignments:
                    clusters[name].take(story, name)
                    await story.report(name, app, AppState.HEALTHY)
    for name in CLUSTERS:
        if name in story.outbox.assignments:
            clusters[name].take(story, name)


@settings(max_examples=200, deadline=None)
@given(EVENTS)
def test_no_history_deletes_more_than_the_budget_unasked(events: list[tuple[Any, ...]]) -> None:
    asyncio.run(play(events))
