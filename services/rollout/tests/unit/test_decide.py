"""Rollout's flow over the checked fake store: the guard, tombstones, transfers, failures (I1, I2, I3, I5)."""

from __future__ import annotations

import pytest

from knarr.pipeline.decision import AppVerdict
from knarr.pipeline.errors import Retryable, retryable
from knarr.pipeline.report import AppState
from knarr.testkit.fleet_story import Story, digest_for, restarted, start_story, told
from knarr.testkit.rollout_store import MemoryStore

CLUSTERS = ("c1", "c2", "c3")


def objects(count: int, prefix: str = "o") -> tuple[str, ...]:
    return tuple(f"{prefix}{n}" for n in range(count))


@pytest.fixture
async def story() -> Story:
    return await start_story(MemoryStore(), CLUSTERS)


async def test_a_commit_reaches_every_cluster_in_one_assignment_each(story: Story) -> None:
    decision = await story.commit(shop=(CLUSTERS, objects(5)), web=(CLUSTERS, objects(2, "w")))
    assert story.verdicts(decision) == {"shop": AppVerdict.ASSIGNED, "web": AppVerdict.ASSIGNED}
    assert sorted(story.outbox.sent) == sorted(CLUSTERS)
    header, body = story.assignment("c1")
    assert header.generation == 1
    assert [a.app for a in body.apps] == ["shop", "web"]


async def test_a_commit_that_changes_nothing_sends_nothing(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)))
    story.outbox.sent.clear()
    decision = await story.commit()
    assert story.outbox.sent == []
    assert decision.assignments == ()


async def test_the_accident_is_held_before_anything_is_sent(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(15)))
    story.outbox.sent.clear()
    decision = await story.commit(shop=(CLUSTERS, ("o0",)))
    held = told(decision, "shop")
    assert held.verdict is AppVerdict.HELD
    assert [r.code for r in held.reasons] == ["KNR3003"]
    assert held.losses[0].clusters == CLUSTERS
    assert len(held.losses[0].object_ids) == 14
    assert story.outbox.sent == []


async def test_held_then_an_unrelated_commit_leaves_it_held(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(15)), web=(CLUSTERS, objects(2, "w")))
    await story.commit(shop=(CLUSTERS, ("o0",)))
    decision = await story.commit(web=(CLUSTERS, objects(3, "w")))
    assert story.verdicts(decision) == {"shop": AppVerdict.HELD, "web": AppVerdict.ASSIGNED}
    assert story.digest("c1", "shop") == digest_for("shop", objects(15))


async def test_a_held_revision_never_becomes_a_baseline(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(15)))
    await story.commit(shop=(CLUSTERS, ("o0",)))
    decision = await story.commit(shop=(CLUSTERS, ("o0", "new")))
    assert told(decision, "shop").verdict is AppVerdict.HELD


async def test_the_revert_of_a_held_revision_passes_and_sends_nothing(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(15)))
    await story.commit(shop=(CLUSTERS, ("o0",)))
    story.outbox.sent.clear()
    decision = await story.commit(shop=(CLUSTERS, objects(15)))
    assert told(decision, "shop").verdict is AppVerdict.UNCHANGED
    assert story.outbox.sent == []


async def test_an_approval_names_the_revision_and_opens_the_agents_budget(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(15)))
    held = told(await story.commit(shop=(CLUSTERS, ("o0",))), "shop")
    assert (await story.approve("something else")).failure is not None
    answer = await story.approve(held.revision)
    assert answer.accepted
    assert story.digest("c2", "shop") == digest_for("shop", ("o0",))
    _, body = story.assignment("c2")
    assert [(a.app, a.digest) for a in body.approvals] == [("shop", digest_for("shop", ("o0",)))]


async def test_five_commits_of_a_fifth_each_none_yet_reported_count_together(story: Story) -> None:
    left = list(objects(100))
    await story.commit(shop=(CLUSTERS, tuple(left)))
    verdicts = []
    for _ in range(5):
        left = left[: len(left) - len(left) * 19 // 100]
        verdicts.append(told(await story.commit(shop=(CLUSTERS, tuple(left))), "shop").verdict)
    assert verdicts[0] is AppVerdict.ASSIGNED
    assert set(verdicts[1:]) == {AppVerdict.HELD}


async def test_a_deletion_counts_for_the_window_whatever_was_reported(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(100)))
    await story.commit(shop=(CLUSTERS, objects(85)))
    for cluster in CLUSTERS:
        await story.report(cluster, "shop")
    assert told(await story.commit(shop=(CLUSTERS, objects(70))), "shop").verdict is AppVerdict.HELD
    await story.commit(shop=(CLUSTERS, objects(85)))
    await story.later(hours=25)
    assert told(await story.commit(shop=(CLUSTERS, objects(70))), "shop").verdict is AppVerdict.ASSIGNED


async def test_an_object_moved_between_apps_in_one_commit_is_a_transfer(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)), web=(CLUSTERS, objects(5, "w")))
    decision = await story.commit(shop=(CLUSTERS, ("o0",)), web=(CLUSTERS, (*objects(5, "w"), "o1", "o2", "o3", "o4")))
    assert story.verdicts(decision) == {"shop": AppVerdict.ASSIGNED, "web": AppVerdict.ASSIGNED}


async def test_when_the_receiver_of_a_move_is_held_the_giver_is_held_too(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)), web=(CLUSTERS, objects(10, "w")))
    decision = await story.commit(shop=(CLUSTERS, ("o0",)), web=(CLUSTERS, ("w0", "o1", "o2", "o3", "o4")))
    assert story.verdicts(decision) == {"shop": AppVerdict.HELD, "web": AppVerdict.HELD}


async def test_a_second_claimant_is_refused_and_the_first_keeps_the_object(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(3)))
    decision = await story.commit(web=(CLUSTERS, ("w0", "o1")))
    assert told(decision, "web").verdict is AppVerdict.REFUSED
    assert told(decision, "web").failures[0].code == "KNR3010"
    assert story.digest("c1", "web") is None
    assert story.digest("c1", "shop") == digest_for("shop", objects(3))


async def test_two_new_claimants_in_one_commit_the_first_by_name_wins(story: Story) -> None:
    decision = await story.commit(a=(CLUSTERS, ("x",)), b=(CLUSTERS, ("x",)))
    assert story.verdicts(decision) == {"a": AppVerdict.ASSIGNED, "b": AppVerdict.REFUSED}


async def test_where_an_app_of_the_commit_fails_deletions_wait_and_additions_go_on(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(20)), web=(CLUSTERS, ("w0",)))
    decision = await story.commit(shop=(CLUSTERS, (*objects(19), "new")), failed={"web": ("c1",)})
    assert story.verdicts(decision) == {"shop": AppVerdict.ASSIGNED, "web": AppVerdict.FAILED}
    deferred = {c: story.assignment(c)[1].apps[0].defer_prune for c in CLUSTERS}
    assert deferred == {"c1": True, "c2": False, "c3": False}
    assert story.digest("c1", "web") == digest_for("web", ("w0",))


async def test_deferred_deletions_go_on_once_the_failed_app_renders(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(20)), web=(CLUSTERS, ("w0",)))
    await story.commit(shop=(CLUSTERS, objects(19)), failed={"web": CLUSTERS})
    await story.commit(web=(CLUSTERS, ("w0", "w1")))
    _, body = story.assignment("c1")
    assert [a.defer_prune for a in body.apps] == [False, False]


async def test_a_failing_variant_keeps_its_bundle_while_the_apps_other_clusters_move(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)), web=(CLUSTERS, objects(20, "w")))
    decision = await story.commit(
        partly={"shop": ("c3",)}, shop=(("c1", "c2"), objects(6)), web=(CLUSTERS, objects(19, "w"))
    )
    assert [(a.app, a.verdict, a.clusters) for a in decision.apps if a.app == "shop"] == [
        ("shop", AppVerdict.FAILED, ("c3",)),
        ("shop", AppVerdict.ASSIGNED, ("c1", "c2")),
    ]
    assert [story.digest(c, "shop") for c in CLUSTERS] == [
        digest_for("shop", objects(6)), digest_for("shop", objects(6)), digest_for("shop", objects(5)),
    ]  # fmt: skip
    deferred = {c: [a.defer_prune for a in story.assignment(c)[1].apps if a.app == "web"] for c in CLUSTERS}
    assert deferred == {"c1": [False], "c2": [False], "c3": [True]}
    await story.commit(shop=(CLUSTERS, objects(6)))
    assert story.digest("c3", "shop") == digest_for("shop", objects(6))
    assert not any(a.defer_prune for a in story.assignment("c3")[1].apps)


async def test_a_cluster_that_fails_and_is_not_in_the_revision_is_not_left(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)))
    story.revisions.by_app.clear()  # a renderer that has lost what it published
    decision = await story.commit(partly={"shop": ("c3",)}, shop=(("c1", "c2"), objects(6)))
    assert AppVerdict.HELD not in {a.verdict for a in decision.apps}
    assert story.digest("c3", "shop") == digest_for("shop", objects(5))
    gone = await story.commit(shop=(("c1", "c2"), objects(6)))
    assert told(gone, "shop").verdict is AppVerdict.HELD


async def test_an_app_that_fails_at_its_first_commit_makes_deletions_wait_too(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(20)))
    await story.commit(shop=(CLUSTERS, objects(19)), failed={"fresh": ()})
    assert story.assignment("c1")[1].apps[0].defer_prune


@pytest.mark.parametrize("read", [{"source_read": False}, {"fleet_read": False, "source_read": False}])
async def test_a_source_that_turns_empty_or_unreadable_changes_nothing(story: Story, read: dict[str, bool]) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)))
    before = await story.store.load()
    story.outbox.sent.clear()
    decision = await story.commit(source_read=read["source_read"], fleet_read=read.get("fleet_read", True))
    after = await story.store.load()
    assert story.outbox.sent == []
    assert (decision.apps, decision.detached_clusters) == ((), ())
    assert (after.placements, after.targets, after.members) == (before.placements, before.targets, before.members)


async def test_a_fleet_that_names_no_cluster_any_more_detaches_all_and_deletes_nothing(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)))
    story.outbox.sent.clear()
    story.clusters.clear()
    decision = await story.commit(shop=((), objects(5)))
    assert decision.detached_clusters == CLUSTERS
    assert story.outbox.sent == []
    assert not any(m.in_fleet for m in (await story.store.load()).members.values())
    story.clusters.extend(CLUSTERS)
    decision = await story.commit(shop=(CLUSTERS, objects(5)))
    assert told(decision, "shop").verdict is AppVerdict.UNCHANGED
    assert story.outbox.sent == [], "they have it still"


async def test_a_removed_cluster_document_deletes_nothing_and_sends_nothing(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)))
    story.outbox.sent.clear()
    story.clusters.remove("c3")
    decision = await story.commit(shop=(("c1", "c2"), objects(5)))
    assert decision.detached_clusters == ("c3",)
    assert story.outbox.sent == []
    assert story.digest("c3", "shop") == digest_for("shop", objects(5))


async def test_a_detached_cluster_that_returns_is_judged_against_what_it_was_last_assigned(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(15)))
    story.clusters.remove("c3")
    await story.commit(shop=(("c1", "c2"), objects(12)))
    await story.later(hours=25)
    await story.commit(shop=(("c1", "c2"), objects(10)))
    story.clusters.append("c3")
    decision = await story.commit(shop=(CLUSTERS, objects(10)))
    held = told(decision, "shop")
    assert held.verdict is AppVerdict.HELD
    assert held.losses[0].clusters == ("c3",)


async def test_an_app_gone_from_a_complete_commit_is_held_until_approved(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)), web=(CLUSTERS, ("w0",)))
    decision = await story.commit(web=None)
    held = told(decision, "web")
    assert (held.verdict, {r.code for r in held.reasons}) == (AppVerdict.HELD, {"KNR3001", "KNR3005"})
    assert (await story.approve(held.revision)).accepted
    _, body = story.assignment("c1")
    assert [t.app for t in body.tombstones] == ["web"]
    assert [a.app for a in body.apps] == ["shop"]


async def test_a_cluster_that_slept_through_a_tombstone_still_gets_it(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)), web=(CLUSTERS, ("w0",)))
    held = told(await story.commit(web=None), "web")
    await story.approve(held.revision)
    for cluster in ("c1", "c2"):
        await story.report(cluster, "web", AppState.REMOVED)
    await story.commit(shop=(CLUSTERS, objects(6)))
    assert {c: len(story.assignment(c)[1].tombstones) for c in CLUSTERS} == {"c1": 0, "c2": 0, "c3": 1}


async def test_an_app_that_returns_drops_its_tombstone(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)), web=(CLUSTERS, ("w0",)))
    held = told(await story.commit(web=None), "web")
    await story.approve(held.revision)
    await story.commit(web=(CLUSTERS, ("w0", "w1")))
    _, body = story.assignment("c1")
    assert body.tombstones == ()
    assert story.digest("c1", "web") == digest_for("web", ("w0", "w1"))


async def test_a_protected_kind_is_held_however_few(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, (*objects(20), "PersistentVolumeClaim/data")))
    held = told(await story.commit(shop=(CLUSTERS, objects(20))), "shop")
    assert [r.code for r in held.reasons] == ["KNR3004"]


async def test_a_new_hash_suffix_is_a_change_not_a_deletion(story: Story) -> None:
    before = tuple(f"config{n}-bbbbbbbbbb" for n in range(6))
    after = tuple(f"config{n}-cccccccccc" for n in range(6))
    await story.commit(shop=(CLUSTERS, before))
    assert told(await story.commit(shop=(CLUSTERS, after)), "shop").verdict is AppVerdict.ASSIGNED


async def test_an_emptied_app_is_held_even_with_two_objects(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(2)))
    held = told(await story.commit(shop=(CLUSTERS, ())), "shop")
    assert [r.code for r in held.reasons] == ["KNR3002"]


async def test_a_newcomer_gets_the_last_released_revision_while_a_newer_one_is_held(story: Story) -> None:
    await story.commit(shop=((*CLUSTERS, "c4"), objects(15)))
    story.clusters.append("c4")
    await story.commit(shop=((*CLUSTERS, "c4"), ("o0",)))
    await story.enrol("c4")
    assert story.digest("c4", "shop") == digest_for("shop", objects(15))


async def test_a_cluster_that_enrols_late_gets_everything(story: Story) -> None:
    story.clusters.append("c4")
    decision = await story.commit(shop=((*CLUSTERS, "c4"), objects(3)))
    assert decision.unenrolled_clusters == ("c4",)
    await story.enrol("c4")
    assert story.digest("c4", "shop") == digest_for("shop", objects(3))


async def test_another_uid_under_a_known_name_gets_nothing_until_adopted(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(3)))
    story.outbox.sent.clear()
    await story.enrol("c1", uid="rebuilt")
    assert story.outbox.sent == []


async def test_a_restored_hub_goes_on_above_the_generation_that_a_cluster_has_seen(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(3)))
    await story.enrol("c1", generation_seen=41)
    assert story.assignment("c1")[0].generation == 42


async def test_killed_after_the_transaction_the_next_start_publishes(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(3)))
    story.outbox.lose()
    again = await restarted(story)
    assert await again.rollout.publish_what_is_missing() == len(CLUSTERS)
    assert story.digest("c1", "shop") == digest_for("shop", objects(3))


async def test_a_failed_transaction_leaves_no_trace_and_is_decided_again(story: Story) -> None:
    store = story.store
    assert isinstance(store, MemoryStore)
    await story.commit(shop=(CLUSTERS, objects(3)))
    store.fail_next = retryable("KNR3041", "gone")
    with pytest.raises(Retryable):
        await story.commit(shop=(CLUSTERS, objects(4)))
    await story.commit(shop=(CLUSTERS, objects(4)))
    assert story.digest("c1", "shop") == digest_for("shop", objects(4))
    assert story.assignment("c1")[0].generation == 2


async def test_what_a_late_cluster_gets_is_decided_and_told(story: Story) -> None:
    story.clusters.append("c4")
    await story.commit(shop=((*CLUSTERS, "c4"), objects(3)))
    before = len(story.outbox.decisions)
    await story.enrol("c4")
    (decision,) = story.outbox.decisions[before:]
    assert told(decision, "shop").clusters == ("c4",)
    assert [a.cluster for a in decision.assignments] == ["c4"]


async def test_fleet_yaml_sets_the_guards(story: Story) -> None:
    guards = b'{"maxLostShare":1,"holdRemoval":false,"maxClustersLeftShare":1}'
    await story.commit(shop=(CLUSTERS, objects(15)), guards=guards)
    decision = await story.commit(shop=(CLUSTERS, ("o0",)), guards=guards)
    assert told(decision, "shop").verdict is AppVerdict.ASSIGNED
    decision = await story.commit(shop=None, guards=guards)
    assert told(decision, "shop").verdict is AppVerdict.REMOVED
    assert [t.app for t in story.assignment("c1")[1].tombstones] == ["shop"]


async def test_an_older_commit_that_comes_late_says_nothing_of_clusters_or_absent_apps(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(5)))
    story.clusters.append("c4")
    await story.enrol("c4")
    await story.commit(shop=((*CLUSTERS, "c4"), objects(5)), web=((*CLUSTERS, "c4"), ("w0",)))
    story.clusters.remove("c4")
    story.apps.pop("web")
    decision = await story.commit(number=1)
    assert decision.detached_clusters == ()
    assert "web" not in story.verdicts(decision)
    assert story.digest("c4", "web") == digest_for("web", ("w0",))
