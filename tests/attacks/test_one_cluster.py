"""What the holder of one cluster's credential, or the broker's owner, did to all (I4, I5): reports that lie to rollout.

The real flow over the checked store; what reports do to the transport is in test_reports.py.
"""

from __future__ import annotations

import pytest
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from knarr.bundle.signing import is_sealing_key, sign_sealing_key
from knarr.pipeline.decision import AppVerdict
from knarr.pipeline.report import AppReport, AppState
from knarr.testkit.fleet_story import Story, start_story, told
from knarr.testkit.rollout_store import MemoryStore

CLUSTERS = ("c1", "c2", "c3")
LOW_ORDER = (bytes(32), b"\x01" + bytes(31), bytes.fromhex("ecffffff" + "ff" * 27 + "7f"))


@pytest.fixture
async def story() -> Story:
    return await start_story(MemoryStore(), CLUSTERS, enrolled=False)


def notices(story: Story) -> list[str]:
    return [n.code for d in story.outbox.decisions for n in d.notices]


@pytest.mark.parametrize("key", LOW_ORDER)
async def test_a_sealing_key_that_nothing_can_be_sealed_to(story: Story, key: bytes) -> None:
    """32 zero bytes: rollout died in a loop, nobody got anything, a restart did not heal."""
    assert not is_sealing_key(key)
    await story.enrol("c1", sealing_public_key=key)
    await story.enrol("c2", "c3")
    decision = await story.commit(shop=(CLUSTERS, ("o0",)))
    assert decision.unenrolled_clusters == ("c1",)
    assert sorted(story.outbox.assignments) == ["c2", "c3"]
    assert notices(story) == ["KNR3023"]


@pytest.mark.parametrize("said", [2**63 - 1, 2**63 - 2, 2**48 + 1, -1])
async def test_a_generation_that_cannot_be(story: Story, said: int) -> None:
    """`generation_seen` = 2⁶³ − 2: no commit was decided any more for any cluster."""
    await story.enrol(*CLUSTERS)
    await story.commit(shop=(CLUSTERS, ("o0",)))
    await story.clock_on(minutes=2)
    await story.enrol("c1", generation_seen=said)
    await story.commit(shop=(CLUSTERS, ("o0", "o1")))
    assert {c: story.assignment(c)[0].generation for c in CLUSTERS} == dict.fromkeys(CLUSTERS, 2)
    assert notices(story) == ["KNR3023"]


async def test_the_largest_generation_that_can_be_harms_its_own_cluster_only(story: Story) -> None:
    await story.enrol(*CLUSTERS)
    await story.commit(shop=(CLUSTERS, ("o0",)))
    await story.enrol("c1", generation_seen=2**48)
    for count in range(2, 6):
        await story.commit(shop=(CLUSTERS, tuple(f"o{n}" for n in range(count))))
    assert story.assignment("c1")[0].generation == 2**48 + 5
    assert story.assignment("c2")[0].generation == 5


async def test_being_ahead_again_and_again(story: Story) -> None:
    """Each report one generation ahead: an assignment and a transaction for each."""
    await story.enrol(*CLUSTERS)
    await story.commit(shop=(CLUSTERS, ("o0",)))
    sent = len(story.outbox.sent)
    for seen in range(10, 60):
        await story.enrol("c1", generation_seen=seen)
    assert len(story.outbox.sent) - sent == 1
    await story.clock_on(minutes=2)
    await story.enrol("c1", generation_seen=99)
    assert story.assignment("c1")[0].generation == 100


@pytest.mark.parametrize("uid", ["with\0nul", "x" * 200, "new\nline"])
async def test_a_uid_that_cannot_be(story: Story, uid: str) -> None:
    await story.enrol("c1", cluster_uid=uid)
    await story.enrol("c2")
    await story.commit(shop=(("c1", "c2"), ("o0",)))
    assert sorted(story.outbox.assignments) == ["c2"]
    assert notices(story) == ["KNR3023"]


async def test_a_forged_sealing_key_opens_nothing(story: Story) -> None:
    """The broker's owner reported a key of his own: the next assignment was sealed to him."""
    await story.enrol(*CLUSTERS)
    await story.commit(shop=(CLUSTERS, ("o0",)))
    thief, his = PrivateKey.generate(), SigningKey.generate()
    key = bytes(thief.public_key)
    for said in (
        {"sealing_public_key": key},
        {"sealing_public_key": key, "signing_public_key": bytes(his.verify_key)},
        {
            "sealing_public_key": key,
            "signing_public_key": bytes(his.verify_key),
            "sealing_key_signature": sign_sealing_key("uid-c1", key, signer=his),
        },
    ):
        await story.enrol("c1", **said)
    await story.commit(shop=(CLUSTERS, ("o0", "o1")))
    story.assignment("c1")  # opens with the key that the cluster enrolled with
    assert notices(story) == ["KNR3022"], "told once, not three times"


async def test_a_cluster_may_change_its_sealing_key_by_its_own_word(story: Story) -> None:
    await story.enrol(*CLUSTERS)
    await story.commit(shop=(CLUSTERS, ("o0",)))
    story.keys["c1"] = PrivateKey.generate()
    await story.enrol("c1")
    assert story.assignment("c1")[0].generation == 2
    assert notices(story) == ["KNR3025"]


async def test_a_signature_for_another_cluster_or_key_is_no_word(story: Story) -> None:
    await story.enrol(*CLUSTERS)
    key = bytes(PrivateKey.generate().public_key)
    signer = story.signing["c1"]
    await story.enrol(
        "c1", sealing_public_key=key, sealing_key_signature=sign_sealing_key("uid-c2", key, signer=signer)
    )
    other = sign_sealing_key("uid-c1", bytes(32), signer=signer)
    await story.enrol("c1", sealing_public_key=key, sealing_key_signature=other)
    await story.commit(shop=(CLUSTERS, ("o0",)))
    story.assignment("c1")


async def test_reports_of_invented_apps_and_of_other_clusters_change_nothing(story: Story) -> None:
    """20,000 invented app names."""
    await story.enrol(*CLUSTERS)
    await story.commit(shop=(CLUSTERS, ("o0",)))
    before = await story.store.load()
    reports = [AppReport(cluster="c1", app=f"invented-{n}", state=AppState.HELD) for n in range(2_000)]
    await story.rollout.on_app_reports(reports)
    assert await story.store.load() == before


async def test_confirming_a_removal_before_it_is_asked(story: Story) -> None:
    await story.enrol(*CLUSTERS)
    await story.commit(shop=(CLUSTERS, ("o0",)), web=(CLUSTERS, ("w0",)))
    held = told(await story.commit(shop=None), "shop")
    await story.rollout.on_app_reports([AppReport(cluster="c1", app="shop", state=AppState.REMOVED, generation=2**62)])
    assert held.verdict is AppVerdict.HELD
    assert (await story.approve(held.revision)).accepted
    await story.rollout.on_app_reports([AppReport(cluster="c1", app="shop", state=AppState.REMOVED, generation=2**62)])
    assert [t.app for t in story.assignment("c1")[1].tombstones] == ["shop"]
