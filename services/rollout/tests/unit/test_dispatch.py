"""What an older leader sends late, what a restored hub finds, and what fails for one cluster alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from knarr.pipeline.errors import Retryable, rejected
from knarr.rollout.core.changes import Changes, OutgoingAssignment, applied
from knarr.rollout.dispatch import Dispatcher
from knarr.rollout.ports import Unpublished
from knarr.testkit.fleet_story import Story, digest_for, restarted, start_story
from knarr.testkit.rollout_store import MemoryStore

CLUSTERS = ("c1", "c2", "c3")


@pytest.fixture
async def story() -> Story:
    story = await start_story(MemoryStore(), CLUSTERS)
    await story.commit(shop=(CLUSTERS, ("o0",)))
    return story


async def test_an_older_leaders_late_publish_replaces_nothing(story: Story) -> None:
    """It had decided and stored, slept, and published after the new leader had."""
    assert isinstance(story.store, MemoryStore)
    world = story.rollout.world
    late = Dispatcher(story.store, story.outbox, world.authority)
    old_state, waiting = story.rollout.state, Unpublished(outgoing=(OutgoingAssignment(cluster="c1"),))
    newer = await restarted(replace(story, store=story.store.successor()))
    await newer.commit(shop=(CLUSTERS, ("o0", "o1")))
    with pytest.raises(Retryable, match="KNR3042"):
        await late.publish(old_state, waiting)
    assert newer.digest("c1", "shop") == digest_for("shop", ("o0", "o1"))


async def test_a_hub_restored_from_an_older_copy_goes_on_when_its_clusters_speak(story: Story) -> None:
    """The stream is ahead of the database: nothing older is published, and nobody waits for an operator."""
    assert isinstance(story.store, MemoryStore)
    copy = story.store.rows.state
    for count in range(2, 5):
        await story.commit(shop=(CLUSTERS, tuple(f"o{n}" for n in range(count))))
    story.store.rows.state = copy
    story = await restarted(story)
    await story.commit(shop=(CLUSTERS, tuple(f"o{n}" for n in range(5))))
    assert story.assignment("c1")[0].generation == 4, "the newer one stays"
    await story.enrol(*CLUSTERS, generation_seen=4)
    assert story.assignment("c1")[0].generation == 5
    assert story.digest("c1", "shop") == digest_for("shop", tuple(f"o{n}" for n in range(5)))


async def test_somebody_elses_bytes_are_written_over(story: Story) -> None:
    """Whoever owns the broker can delay, and no more."""
    stored = await story.outbox.newest_assignment("c1")
    assert stored is not None
    await story.outbox.assignment("c1", b"not ours", expect=stored[1])
    await story.commit(shop=(CLUSTERS, ("o0", "o1")))
    assert story.digest("c1", "shop") == digest_for("shop", ("o0", "o1"))


async def test_a_cluster_that_cannot_be_sealed_for_stops_nobody(story: Story) -> None:
    member = replace(story.rollout.state.members["c1"], sealing_key=bytes(32))
    story.rollout.state = applied(story.rollout.state, Changes(members={"c1": member}))
    await story.commit(shop=(CLUSTERS, ("o0", "o1")))
    assert story.digest("c2", "shop") == digest_for("shop", ("o0", "o1"))
    assert story.digest("c1", "shop") == digest_for("shop", ("o0",))


async def test_an_assignment_that_is_too_large_stops_nobody(story: Story) -> None:
    story.outbox.refusing = {"c1": rejected("KNR7012", "too large")}
    await story.commit(shop=(CLUSTERS, ("o0", "o1")))
    assert story.digest("c3", "shop") == digest_for("shop", ("o0", "o1"))
    assert (await story.store.unpublished()) == Unpublished()


async def test_a_decision_that_is_too_large_keeps_nothing_back(story: Story) -> None:
    story.outbox.refusing = {"decisions": rejected("KNR7012", "too large")}
    await story.commit(shop=(CLUSTERS, ("o0", "o1")))
    story.outbox.refusing = {}
    await story.commit(shop=(CLUSTERS, ("o0", "o1", "o2")))
    assert story.digest("c1", "shop") == digest_for("shop", ("o0", "o1", "o2"))
