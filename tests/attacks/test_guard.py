"""What got past the guard once (I1, I2): commits, approvals and settings that deleted more than anybody had asked for.

Each test does what was done then, to the real flow over the checked store.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from knarr.pipeline.decision import AppVerdict
from knarr.pipeline.errors import Retryable, retryable
from knarr.pipeline.report import AppReport, AppState
from knarr.pipeline.snapshot import Commit
from knarr.rollout.core.changes import Changes
from knarr.testkit.fleet_story import Story, digest_for, restarted, start_story, told
from knarr.testkit.rollout_store import MemoryStore
from tests.attacks.stories import CLUSTERS, Content, objects, put

LOOSE = b'{"maxLostShare":1,"holdRemoval":false,"holdProtected":false,"maxClustersLeftShare":1}'


@pytest.fixture
async def story() -> Story:
    return await start_story(MemoryStore(), CLUSTERS)


def objects_in(story: Story, cluster: str, app: str, *known: Content) -> Content | None:
    """Which of the known contents the cluster is assigned."""
    digest = story.digest(cluster, app)
    return next((c for c in known if digest_for(app, c) == digest), None)


async def test_an_approved_removal_is_not_approved_for_ever(story: Story) -> None:
    """Removal approved, app gone, reverted, removed again: 24 objects went unasked."""
    await put(story, shop=objects(6), web=objects(2, "w"))
    first = told(await story.commit(shop=None), "shop")
    assert (await story.approve(first.revision)).accepted
    for cluster in CLUSTERS:
        await story.report(cluster, "shop", AppState.REMOVED)
    await put(story, shop=objects(6))
    again = told(await story.commit(shop=None), "shop")
    assert again.verdict is AppVerdict.HELD
    assert again.revision != first.revision, "a returned app is new"
    assert story.assignment("c1")[1].tombstones == ()


async def test_an_approved_revision_is_not_approved_for_ever(story: Story) -> None:
    """Revision approved, reverted, force-pushed back: 20 objects went unasked."""
    await put(story, shop=objects(20))
    held = told(await story.commit(shop=(CLUSTERS, ("o0",))), "shop")
    cut = story.revisions.by_app["shop"]
    assert (await story.approve(held.revision)).accepted
    await put(story, shop=objects(20))
    commit = Commit(source="fleet", number=story.number + 1)
    story.revisions.by_app["shop"] = replace(
        cut, commit=commit, fleet_commit=commit
    )  # the same id, as the same content
    story.apps["shop"] = (CLUSTERS, ("o0",))
    assert told(await story.commit(), "shop").verdict is AppVerdict.HELD
    assert objects_in(story, "c1", "shop", objects(20)) == objects(20)


async def test_guards_loosened_in_the_commit_that_deletes(story: Story) -> None:
    """48 objects, PVC and Namespace too; every tombstone carried an approval that opened the agents' budgets."""
    await put(story, shop=(*objects(10), "PersistentVolumeClaim/data", "Namespace/shop"), web=objects(3, "w"))
    decision = await story.commit(shop=None, web=(CLUSTERS, ("w0",)), guards=LOOSE)
    assert story.verdicts(decision) == {"shop": AppVerdict.HELD, "web": AppVerdict.ASSIGNED}
    assert [n.code for n in decision.notices] == ["KNR3007"]
    assert "holdProtected from 1 to 0" in decision.notices[0].message
    later = await story.commit(web=(CLUSTERS, ("w0", "w1")), guards=LOOSE)
    assert told(later, "shop").verdict is AppVerdict.HELD, "loosening releases nothing that is held"
    assert later.notices == ()


async def test_the_loosening_commit_is_judged_strictly_also_when_it_is_rendered_again(story: Story) -> None:
    """An app that failed in the commit and renders a moment later was judged by the loosened guards."""
    await put(story, shop=objects(20))
    await story.commit(failed={"shop": CLUSTERS}, guards=LOOSE)
    story.number -= 1
    decision = await story.commit(shop=(CLUSTERS, ("o0",)), guards=LOOSE)
    assert told(decision, "shop").verdict is AppVerdict.HELD


async def test_another_sources_commit_does_not_bring_the_loosened_guards_first(story: Story) -> None:
    await put(story, shop=objects(20))
    await story.commit(source="team", fleet_number=2, guards=LOOSE)
    decision = await story.commit(shop=(CLUSTERS, ("o0",)), guards=LOOSE, number=2)
    assert told(decision, "shop").verdict is AppVerdict.HELD


async def test_loosened_guards_that_are_taken_back_are_no_more(story: Story) -> None:
    """The settings lived in a field until the restart: ten commits later an app was removed by them."""
    await story.commit(shop=(CLUSTERS, objects(6)), web=(CLUSTERS, objects(3, "w")), guards=LOOSE)
    await put(story, web=objects(4, "w"))
    assert (await put(story, shop=None))["shop"] is AppVerdict.HELD


async def test_stricter_guards_survive_a_restart(story: Story) -> None:
    """After a restart the configured guards were forgotten until the next commit."""
    await story.commit(shop=(CLUSTERS, objects(20)), guards=b'{"minLostObjects":1,"maxLostShare":0}')
    story = await restarted(story)
    decision = await story.commit(shop=(CLUSTERS, objects(19)), source="team", fleet_read=False)
    assert told(decision, "shop").verdict is AppVerdict.HELD


async def test_protection_is_no_part_of_hold_removal(story: Story) -> None:
    """`holdRemoval: false` with `holdProtected: true`: PVC and Namespace were deleted on removal."""
    guards = b'{"holdRemoval":false,"maxClustersLeftShare":1}'
    data = (*objects(3), "PersistentVolumeClaim/data")
    await story.commit(shop=(CLUSTERS, data), web=(CLUSTERS, objects(3, "w")), guards=guards)
    decision = await story.commit(shop=None, web=None, guards=guards)
    assert story.verdicts(decision) == {"shop": AppVerdict.HELD, "web": AppVerdict.REMOVED}
    assert [r.code for r in told(decision, "shop").reasons] == ["KNR3004"]
    _, body = story.assignment("c1")
    assert [t.app for t in body.tombstones] == ["web"]
    assert body.approvals == (), "nobody approved"


@pytest.mark.parametrize("reported", [False, True])
@pytest.mark.parametrize(("counts", "passes"), [((100, 81, 66, 53, 43, 35), 1), ((10, 8, 6, 4, 2), 1)])
async def test_slices_that_each_pass(story: Story, counts: tuple[int, ...], passes: int, reported: bool) -> None:
    """100 → 81 → 66 → 53 → 43 → 35 objects seconds apart, two of ten four times: 260 of 400 and 32 of 40 went."""
    await put(story, shop=objects(counts[0]))
    verdicts = []
    for count in counts[1:]:
        verdicts.append((await put(story, shop=objects(count)))["shop"])
        for cluster in CLUSTERS if reported else ():
            await story.report(cluster, "shop")
    assert verdicts == [AppVerdict.ASSIGNED] * passes + [AppVerdict.HELD] * (len(verdicts) - passes)


async def test_objects_moved_to_a_large_app_and_dropped_there(story: Story) -> None:
    """Nine of ten objects moved, then dropped among a hundred: 36 were deleted."""
    large = objects(100, "big")
    await put(story, shop=objects(10), platform=large)
    moved = await put(story, shop=("o0",), platform=(*large, *objects(10)[1:]))
    assert moved == {"shop": AppVerdict.ASSIGNED, "platform": AppVerdict.ASSIGNED}
    decision = await story.commit(platform=(CLUSTERS, large))
    held = told(decision, "platform")
    assert held.verdict is AppVerdict.HELD
    assert [r.code for r in held.reasons] == ["KNR3006"]
    assert "app shop would lose 9 of its 10 objects" in held.reasons[0].message
    assert len(held.losses[0].object_ids) == 9


async def test_an_approval_elsewhere_does_not_take_their_weight_from_moved_objects(story: Story) -> None:
    large = objects(100, "big")
    await put(story, shop=(*objects(10), "PersistentVolumeClaim/data"), platform=large)
    await put(story, shop=("o0", "PersistentVolumeClaim/data"), platform=(*large, *objects(10)[1:]))
    held = told(await story.commit(shop=(CLUSTERS, ("o0",))), "shop")
    assert (await story.approve(held.revision)).accepted
    assert (await put(story, platform=large))["platform"] is AppVerdict.HELD


async def test_clusters_left_one_by_one(story: Story) -> None:
    """The sibling of slices: an app that leaves one cluster after another."""
    guards = b'{"holdRemoval":false,"maxClustersLeftShare":0.25}'
    verdicts = [
        told(await story.commit(shop=(CLUSTERS[:count], objects(4)), guards=guards), "shop").verdict
        for count in (4, 3, 2, 1)
    ]
    assert verdicts == [AppVerdict.ASSIGNED, AppVerdict.ASSIGNED, AppVerdict.HELD, AppVerdict.HELD]


async def test_one_rename_excuses_one_deletion(story: Story) -> None:
    """Twenty names that differ only in what looks like a hash suffix, replaced by one."""
    before = tuple(f"config-{a * 9}{b}" for a in "bcdf" for b in "bcdfg")
    await put(story, shop=before)
    assert (await put(story, shop=("config-kkkkkkkkkk",)))["shop"] is AppVerdict.HELD


async def test_an_approved_removal_waits_where_another_app_fails_and_then_goes(story: Story) -> None:
    """c1 was skipped, never looked at again, and told as removed."""
    await put(story, shop=objects(3), web=objects(3, "w"))
    held = told(await story.commit(shop=None, failed={"web": ("c1",)}), "shop")
    assert (await story.approve(held.revision)).accepted
    decision = story.outbox.decisions[-1]
    gone = told(decision, "shop")
    assert (gone.verdict, gone.clusters, gone.waiting_clusters) == (AppVerdict.REMOVED, CLUSTERS[1:], ("c1",))
    assert story.assignment("c1")[1].tombstones == ()
    for cluster in CLUSTERS[1:]:
        await story.report(cluster, "shop", AppState.REMOVED)
    story = await restarted(story)
    again = await story.commit(web=(CLUSTERS, objects(4, "w")))
    assert told(again, "shop").clusters == ("c1",)
    _, body = story.assignment("c1")
    assert [(a.app, a.digest, a.since_generation) for a in body.approvals] == [
        ("shop", digest_for("shop", objects(3)), body.tombstones[0].since_generation)
    ]


async def test_a_cluster_that_joins_while_an_app_is_held_is_told(story: Story) -> None:
    """It got the released bundle, and nobody was told."""
    everywhere = (*CLUSTERS, "c5")
    await story.commit(shop=(everywhere, objects(20)))
    await story.commit(shop=(everywhere, ("o0",)))
    story.clusters.append("c5")
    decision = await story.commit()
    assert told(decision, "shop").verdict is AppVerdict.HELD
    before = len(story.outbox.decisions)
    await story.enrol("c5")
    (decision,) = story.outbox.decisions[before:]
    entry = told(decision, "shop")
    assert (entry.verdict, entry.clusters) == (AppVerdict.ASSIGNED, ("c5",))
    assert objects_in(story, "c5", "shop", objects(20)) == objects(20)


async def test_a_cluster_that_returns_to_a_smaller_app_is_held_and_told(story: Story) -> None:
    """Its own step is too large, although everybody else's was not: held in silence, it could not even be approved."""
    await put(story, shop=objects(20))
    story.clusters.remove("c4")
    for count in (17, 14, 12):
        await story.later(hours=25)
        await story.commit(shop=(CLUSTERS, objects(count)))
    story.clusters.append("c4")
    held = told(await story.commit(web=(CLUSTERS, objects(1, "w"))), "shop")
    assert (held.verdict, held.clusters) == (AppVerdict.HELD, ("c4",))
    assert objects_in(story, "c4", "shop", objects(20)) == objects(20)
    assert (await story.approve(held.revision)).accepted
    assert objects_in(story, "c4", "shop", objects(12)) == objects(12)


async def test_a_cluster_that_returns_to_a_claimed_object_is_told(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(3)))
    story.clusters.remove("c4")
    await story.commit(shop=(CLUSTERS, objects(2)), web=(CLUSTERS, ("o2",)))
    story.clusters.append("c4")
    decision = await story.commit(other=(CLUSTERS, ("x",)))
    assert story.verdicts(decision)["web"] is AppVerdict.ASSIGNED
    assert objects_in(story, "c4", "web", ("o2",)) == ("o2",), "a move in one step is a transfer there too"


async def test_an_approval_has_one_outcome_also_when_the_broker_is_silent(story: Story) -> None:
    """Stored, then the broker timed out: answered "refused", and the deletion went out a minute later."""
    await put(story, shop=objects(20))
    held = told(await story.commit(shop=(CLUSTERS, ("o0",))), "shop")
    story.outbox.failing = retryable("KNR7011", "no answer in time")
    answer = await story.approve(held.revision, command_id="one")
    assert answer.accepted
    story.outbox.failing = None
    assert story.rollout.unpublished.is_set()
    assert await story.rollout.publish_what_is_missing() == len(CLUSTERS)
    assert objects_in(story, "c1", "shop", ("o0",)) == ("o0",)
    assert story.outbox.answers == [answer]
    assert await story.approve(held.revision, command_id="one") == answer, "asked again, it is answered the same"


async def test_a_commit_whose_transaction_failed_is_decided_when_it_comes_again(story: Story) -> None:
    """The exception between taking it into memory and storing it: the redelivered commit decided nothing."""
    store = story.store
    assert isinstance(store, MemoryStore)
    await put(story, shop=objects(3))
    for error in (retryable("KNR3041", "gone"), RuntimeError("a bug"), KeyError("another")):
        store.fail_next = error
        with pytest.raises((Retryable, RuntimeError, KeyError)):
            await put(story, shop=objects(3 + story.number))
        assert story.rendered is not None
        decision = await story.rollout.on_rendered(story.rendered)
        assert decision is not None
        assert told(decision, "shop").verdict is AppVerdict.ASSIGNED
        assert await story.rollout.on_rendered(story.rendered) is None, "and once only"


async def test_existing_objects_that_become_hooks_are_lost(story: Story) -> None:
    """`commonAnnotations: {helm.sh/hook: pre-upgrade}`: PVC, Namespace and ten ConfigMaps went, past both budgets."""
    plain = (*objects(10), "PersistentVolumeClaim/data")
    await put(story, shop=plain)
    held = told(await story.commit(shop=(CLUSTERS, (*(f"hook:{o}" for o in plain), "new"))), "shop")
    assert held.verdict is AppVerdict.HELD
    assert {r.code for r in held.reasons} == {"KNR3003", "KNR3004"}
    assert len(held.losses[0].object_ids) == 11


async def test_a_hook_claims_what_another_app_holds(story: Story) -> None:
    await put(story, shop=objects(3))
    assert (await put(story, web=("w0", "hook:o1")))["web"] is AppVerdict.REFUSED


async def test_hooks_come_and_go_unasked(story: Story) -> None:
    await put(story, shop=(*objects(3), *(f"hook:h{n}" for n in range(9))))
    assert (await put(story, shop=objects(3)))["shop"] is AppVerdict.ASSIGNED


async def test_an_approval_names_what_was_shown(story: Story) -> None:
    """Approving by the revision alone let pass whatever it deleted by then."""
    await put(story, shop=objects(20), web=objects(3, "w"))
    held = told(await story.commit(shop=(CLUSTERS, objects(13))), "shop")
    assert held.verdict is AppVerdict.HELD
    shown = held.evidence
    assert (await story.approve(held.revision, evidence=b"")).failure is not None
    story.clusters.remove("c4")
    await put(story, web=objects(4, "w"))
    answer = await story.approve(held.revision, evidence=shown)
    assert answer.failure is not None
    assert answer.failure.code == "KNR3032"
    assert objects_in(story, "c1", "shop", objects(20)) == objects(20)
    assert (await story.approve(held.revision)).accepted, "what is told last can be approved"


async def test_an_approval_that_waits_ends_with_its_target(story: Story) -> None:
    """Approved, waiting in c1; reverted; force-pushed back: c1 must be asked for again."""
    await put(story, shop=objects(20), web=objects(3, "w"))
    held = told(await story.commit(shop=None, failed={"web": ("c1",)}), "shop")
    assert (await story.approve(held.revision)).accepted
    assert (await story.store.load()).grants["shop"].clusters.keys() == {"c1"}
    await story.commit(shop=(CLUSTERS, objects(20)), failed={"web": ("c1",)})
    assert "shop" not in (await story.store.load()).grants
    assert told(await story.commit(shop=None, web=(CLUSTERS, objects(3, "w"))), "shop").verdict is AppVerdict.HELD
    assert story.assignment("c1")[1].tombstones == ()


async def test_an_approval_that_waits_covers_what_was_shown_only(story: Story) -> None:
    """While it waits in c1, objects move into the app there: they were not shown."""
    await put(story, shop=objects(5), web=objects(3, "w"), other=objects(30, "x"))
    held = told(await story.commit(shop=None, failed={"web": ("c1",)}), "shop")
    assert (await story.approve(held.revision)).accepted
    state = await story.store.load()
    grant = replace(state.grants["shop"], clusters={"c1": b"something else"})
    await story.store.commit(Changes(grants={"shop": grant}))
    story = await restarted(story)
    assert told(await story.commit(web=(CLUSTERS, objects(4, "w"))), "shop").verdict is AppVerdict.HELD
    await story.store.commit(Changes(grants={"shop": replace(state.grants["shop"], target="another")}))
    story = await restarted(story)
    assert told(await story.commit(web=(CLUSTERS, objects(5, "w"))), "shop").verdict is AppVerdict.HELD
    assert story.assignment("c1")[1].tombstones == ()


async def test_an_approval_that_was_used_does_not_expire(story: Story) -> None:
    await put(story, shop=objects(20))
    held = told(await story.commit(shop=(CLUSTERS, ("o0",))), "shop")
    assert (await story.approve(held.revision)).accepted
    assert "shop" not in (await story.store.load()).grants
    await story.later(hours=25)
    assert [n.code for d in story.outbox.decisions for n in d.notices] == []


async def test_the_longer_window_judges(story: Story) -> None:
    """A window shortened in the commit that takes the next slice."""
    await put(story, shop=objects(100))
    await put(story, shop=objects(81))
    await story.later(hours=2)
    decision = await story.commit(shop=(CLUSTERS, objects(66)), guards=b'{"windowSeconds":3600}')
    assert told(decision, "shop").verdict is AppVerdict.HELD


async def test_an_approval_expires(story: Story) -> None:
    await put(story, shop=objects(3), web=objects(3, "w"))
    held = told(await story.commit(shop=None, failed={"web": ("c1",)}), "shop")
    assert (await story.approve(held.revision)).accepted
    await story.later(hours=25)
    decision = story.outbox.decisions[-1]
    assert [n.code for n in decision.notices] == ["KNR3033"]
    assert told(decision, "shop").verdict is AppVerdict.HELD
    await put(story, web=objects(4, "w"))
    assert story.assignment("c1")[1].tombstones == ()


async def test_a_held_deletion_is_not_released_by_waiting(story: Story) -> None:
    await put(story, shop=objects(100))
    await put(story, shop=objects(81))
    assert (await put(story, shop=objects(66)))["shop"] is AppVerdict.HELD
    await story.later(hours=30)
    assert (await put(story, web=objects(3, "w")))["shop"] is AppVerdict.HELD


async def test_what_an_agent_holds_by_its_own_budget_can_be_approved_and_nothing_else(story: Story) -> None:
    guards = b'{"maxLostShare":1}'
    await story.commit(shop=(CLUSTERS, objects(20)), guards=guards)
    decision = await story.commit(shop=(CLUSTERS, ("o0",)), guards=guards)
    assert told(decision, "shop").verdict is AppVerdict.ASSIGNED
    await story.report("c2", "shop", holds=True)
    held = told(story.outbox.decisions[-1], "shop")
    assert (held.verdict, held.clusters) == (AppVerdict.HELD, ("c2",))
    assert story.assignment("c2")[1].approvals == ()
    assert (await story.approve(held.revision)).accepted
    assert [a.digest for a in story.assignment("c2")[1].approvals] == [digest_for("shop", ("o0",))]
    assert story.assignment("c1")[1].approvals == ()
    await story.report("c2", "shop")
    await story.commit(web=(CLUSTERS, objects(1, "w")), guards=guards)
    assert story.assignment("c2")[1].approvals == (), "used once"


async def test_an_approval_of_an_unsent_removal_names_the_bundle_and_the_tombstone(story: Story) -> None:
    await put(story, shop=objects(6), web=objects(2, "w"))
    held = told(await story.commit(shop=None), "shop")
    await story.approve(held.revision)
    header, body = story.assignment("c1")
    (approval,) = body.approvals
    assert (approval.removal, approval.protected) == (True, False), "no protected kind was shown"
    assert approval.digest == digest_for("shop", objects(6))
    assert approval.since_generation == body.tombstones[0].since_generation == header.generation


async def test_a_removal_reaches_a_cluster_that_slept_through_the_last_bundle(story: Story) -> None:
    """Its agent has something older than what the approval names, and holds: what it has can be approved."""
    await put(story, shop=objects(6), web=objects(2, "w"))
    await put(story, shop=objects(7))
    held = told(await story.commit(shop=None), "shop")
    await story.approve(held.revision)
    generation = story.assignment("c4")[0].generation
    older = digest_for("shop", objects(6))
    holding = AppReport(
        cluster="c4", app="shop", state=AppState.HELD, digest=older, held_digests=(older,), generation=generation
    )
    await story.rollout.on_app_reports([holding])
    told_then = told(story.outbox.decisions[-1], "shop")
    assert (told_then.verdict, told_then.clusters) == (AppVerdict.HELD, ("c4",))
    await story.commit(web=(CLUSTERS, objects(3, "w")))
    assert story.assignment("c4")[1].approvals == ()
    assert (await story.approve(held.revision)).accepted
    assert [a.digest for a in story.assignment("c4")[1].approvals] == [older]


async def test_clusters_that_lose_the_same_are_one_loss_whatever_else_they_run(story: Story) -> None:
    everything: dict[str, Any] = {f"own-{c}": ((c,), (f"own-{c}",)) for c in CLUSTERS}
    await story.commit(shop=(CLUSTERS, objects(20)), **everything)
    held = told(await story.commit(shop=(CLUSTERS, ("o0",))), "shop")
    assert [loss.clusters for loss in held.losses] == [CLUSTERS]
    assert "c1, c2, c3 and 1 more" in held.reasons[0].message


async def test_clusters_left_a_few_at_a_time() -> None:
    """Two of eight, then one of six: each within a quarter, three of eight together."""
    names = tuple(f"c{n}" for n in range(8))
    story = await start_story(MemoryStore(), names)
    guards = b'{"holdRemoval":false,"maxClustersLeftShare":0.25}'
    verdicts = [
        told(await story.commit(shop=(names[:count], objects(4)), guards=guards), "shop").verdict for count in (8, 6, 5)
    ]
    assert verdicts == [AppVerdict.ASSIGNED, AppVerdict.ASSIGNED, AppVerdict.HELD]
