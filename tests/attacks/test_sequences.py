"""Longer ways past the guard, the approvals and the isolation of clusters and sources, worst first.

What is still open is marked as such, with its reason: it fails here when it is mended.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from knarr.bundle.signing import open_body, sign_sealing_key, verify_assignment
from knarr.pipeline.decision import AppVerdict, Command, CommandVerb
from knarr.pipeline.errors import KnarrError, Retryable, retryable
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.pipeline.revision import AppOutcome, RenderedApp
from knarr.pipeline.snapshot import Commit
from knarr.rollout.ports import Outdated
from knarr.testkit.agent_bench import Bench, bench, config_map
from knarr.testkit.agent_hub import bundle_of
from knarr.testkit.fleet_story import Story, digest_for, restarted, start_story, told
from knarr.testkit.rollout_store import MemoryStore
from tests.attacks.stories import CLUSTERS, Content, objects, put

LOOSE_SHARE = b'{"maxLostShare":1}'  # the hub lets it go, the agents hold it by their own budget
PVC = "PersistentVolumeClaim/data"


@pytest.fixture
async def story() -> Story:
    return await start_story(MemoryStore(), CLUSTERS)


def has(story: Story, app: str, content: Content, cluster: str = "c1") -> bool:
    return story.digest(cluster, app) == digest_for(app, content)


def defers(story: Story, app: str, cluster: str = "c1") -> bool:
    return next(a for a in story.assignment(cluster)[1].apps if a.app == app).defer_prune


def notices(story: Story) -> list[str]:
    return [n.code for d in story.outbox.decisions for n in d.notices]


def opens(story: Story, key: PrivateKey) -> bool:
    header, sealed = verify_assignment(story.outbox.assignments["c1"], trusted=(bytes(story.signer.verify_key),))
    try:
        open_body(header, sealed, private=key)
    except KnarrError:
        return False
    return True


# --- 1. an approved move deletes what it should carry over --------------------------


async def test_01_an_approved_rename_of_an_app_deletes_nothing(story: Story) -> None:
    """shop → store, same objects: shop is held, store refused; approved, all goes and nothing has it."""
    content = (*objects(5), PVC)
    await put(story, shop=content)
    decision = await story.commit(shop=None, store=(CLUSTERS, content))
    await story.approve(told(decision, "shop").revision)
    assert not story.assignment("c1")[1].tombstones or has(story, "store", content)


async def test_01_an_approved_move_is_a_transfer(story: Story) -> None:
    """Held for ConfigMaps that it loses; approved, the claim that moves to store in that commit is deleted."""
    await put(story, shop=(*objects(20), PVC), store=("s",))
    held = told(await story.commit(shop=(CLUSTERS, objects(10)), store=(CLUSTERS, ("s", PVC))), "shop")
    assert [r.code for r in held.reasons] == ["KNR3003"], "nothing protected is said to go"
    await story.approve(held.revision)
    assert has(story, "shop", (*objects(20), PVC)) or has(story, "store", ("s", PVC))


@pytest.mark.parametrize("order", [("store", "shop"), ("shop", "store")])
async def test_01_a_move_between_two_held_apps_can_be_approved(story: Story, order: tuple[str, str]) -> None:
    await put(story, shop=(*objects(10), PVC), store=objects(20, "s"))
    decision = await story.commit(shop=(CLUSTERS, objects(10)), store=(CLUSTERS, ("s0", PVC)))
    for app in order:
        await story.approve(told(decision, app).revision)
        there = has(story, "shop", (*objects(10), PVC)) or has(story, "store", ("s0", PVC))
        assert there or defers(story, "shop"), app
    assert has(story, "store", ("s0", PVC))
    assert not defers(story, "shop")


# --- 2. what the newest commit keeps is deleted because its receiver is stuck -----------


@pytest.mark.parametrize("receiver", [("s0", "o9"), (*objects(20, "s"), "o9", "x")])
async def test_02_what_moves_to_an_app_that_is_held_or_refused_stays(story: Story, receiver: Content) -> None:
    """For a receiver that fails to render it waits; for one that is held or refused it is deleted."""
    await put(story, shop=objects(10), other=("x",), store=objects(20, "s"))
    decision = await story.commit(shop=(CLUSTERS, objects(9)), store=(CLUSTERS, receiver))
    assert story.verdicts(decision)["store"] in (AppVerdict.HELD, AppVerdict.REFUSED)
    assert has(story, "shop", objects(10)) or defers(story, "shop")


async def test_02_an_app_that_fails_everywhere_leaves_no_cluster(story: Story) -> None:
    """`failing` without clusters means everywhere; for the app's own removals it means nowhere."""
    await put(story, shop=objects(4))
    held = told(await story.commit(shop=(CLUSTERS[:2], objects(4))), "shop")
    await story.commit(failed={"shop": ()})
    await story.approve(held.revision)
    assert story.assignment("c3")[1].tombstones == ()


# --- 3. a detached cluster prunes -------------------------------------------------------


async def test_03_a_detached_cluster_prunes_nothing(story: Story) -> None:
    """Its prune was deferred for a failing app; the commit that detaches it releases the prune (I1)."""
    await put(story, shop=objects(10), web=objects(2, "w"))
    await story.commit(shop=(CLUSTERS, objects(9)), failed={"web": ("c4",)})
    assert defers(story, "shop", "c4")
    story.clusters.remove("c4")
    await story.commit(web=(CLUSTERS[:3], objects(2, "w")))
    assert defers(story, "shop", "c4")


async def test_03_an_approval_of_what_agents_hold_does_not_reach_a_detached_cluster(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(20)), guards=LOOSE_SHARE)
    await story.commit(shop=(CLUSTERS, ("o0",)), guards=LOOSE_SHARE)
    await story.report("c4", "shop", holds=True)
    await story.report("c3", "shop", holds=True)
    story.clusters.remove("c4")
    await story.commit(web=(CLUSTERS[:3], ("w",)), guards=LOOSE_SHARE)
    await story.clock_on(minutes=3)
    held = [a for d in story.outbox.decisions for a in d.apps if a.verdict is AppVerdict.HELD][-1]
    await story.approve(held.revision)
    assert story.assignment("c4")[1].approvals == ()


# --- 4. waiting releases ------------------------------------------------------------------


async def test_04_waiting_does_not_release_what_moved_away(story: Story) -> None:
    large = objects(100, "big")
    await put(story, shop=objects(10), platform=large)
    await put(story, shop=("o0",), platform=(*large, *objects(10)[1:]))
    assert (await put(story, platform=large))["platform"] is AppVerdict.HELD
    await story.later(hours=30)
    assert (await put(story, web=objects(3, "w")))["platform"] is AppVerdict.HELD


async def test_04_deferred_prunes_count_together(story: Story) -> None:
    """While web fails, a fifth a day is deferred; when it renders, 12 of 20 go at once."""
    await put(story, shop=objects(20), web=objects(2, "w"))
    for count in (16, 13, 11, 9, 8):
        await story.commit(shop=(CLUSTERS, objects(count)), failed={"web": ("c1",)})
        await story.later(hours=25)
    await put(story, web=objects(2, "w"))
    assert defers(story, "shop") or not has(story, "shop", objects(8))


# --- 5. keys ---------------------------------------------------------------------------------


async def test_05_a_signing_key_is_not_bound_before_enrolment() -> None:
    """A report without UID binds its signing key to a cluster that has not enrolled; later it vouches for any key."""
    story = await start_story(MemoryStore(), ("c1",), enrolled=False)
    await story.commit(shop=(("c1",), ("o0",)))
    his, thief = SigningKey.generate(), PrivateKey.generate()
    await story.rollout.on_cluster_reports([ClusterReport(cluster="c1", signing_public_key=bytes(his.verify_key))])
    await story.enrol("c1")
    story.assignment("c1")
    await story.clock_on(minutes=2)
    key = bytes(thief.public_key)
    signature = sign_sealing_key("uid-c1", key, signer=his)
    await story.enrol("c1", sealing_public_key=key, sealing_key_signature=signature)
    assert not opens(story, thief)


@pytest.mark.xfail(
    strict=True,
    reason="signatures of sealing keys have no order: who replays the first report and holds the old key reads on",
)
async def test_05_a_sealing_key_that_was_left_does_not_come_back() -> None:
    """A copy of the first report, sent again after the key was changed: the old key opens what follows."""
    story = await start_story(MemoryStore(), ("c1",))
    await story.commit(shop=(("c1",), ("o0",)))
    first, leaked = story.cluster_report("c1"), story.keys["c1"]
    story.keys["c1"] = PrivateKey.generate()
    await story.clock_on(minutes=2)
    await story.enrol("c1")
    await story.clock_on(minutes=2)
    await story.rollout.on_cluster_reports([first])
    await story.commit(shop=(("c1",), ("o0", "o1")))
    assert not opens(story, leaked)


@pytest.mark.xfail(strict=True, reason="who names a signing key first has it, where a cluster enrolled without one")
async def test_05_another_signing_key_is_told() -> None:
    """A cluster enrolled without one (an older agent): who names his first has it, and the cluster's own is ignored."""
    story = await start_story(MemoryStore(), ("c1",), enrolled=False)
    await story.enrol("c1", signing_public_key=b"")
    await story.enrol("c1", signing_public_key=bytes(SigningKey.generate().verify_key))
    await story.enrol("c1")
    bound = (await story.store.load()).members["c1"].signing_key
    assert bound == bytes(story.signing["c1"].verify_key) or notices(story)


async def test_05_a_harmless_refusal_does_not_silence_a_grave_one(story: Story) -> None:
    """`_refused` says: once an hour, and when it is something else. The second half is not there."""
    await story.enrol("c1", epoch="another")
    await story.enrol("c1", sealing_public_key=bytes(PrivateKey.generate().public_key), sealing_key_signature=b"")
    assert notices(story) == ["KNR3021", "KNR3022"]


# --- 6. approvals: widened, lost, never expiring ------------------------------------------------


async def test_06_an_approval_opens_protected_kinds_only_where_such_were_shown(story: Story) -> None:
    """The agent holds a claim that the hub let go; an approval of fifteen ConfigMaps, a commit later, opens it."""
    guards = b'{"holdProtected":false}'
    await story.commit(shop=(CLUSTERS, (*objects(20), PVC)), guards=guards)
    await story.commit(shop=(CLUSTERS, objects(20)), guards=guards)
    await story.report("c1", "shop", holds=True)
    held = told(await story.commit(shop=(CLUSTERS, objects(5)), guards=guards), "shop")
    assert not any("PersistentVolumeClaim" in i for loss in held.losses for i in loss.object_ids)
    assert (await story.approve(held.revision)).accepted
    assert [a.protected for a in story.assignment("c1")[1].approvals] == [False]


async def test_06_an_approval_whose_prune_is_deferred_is_there_when_it_goes(story: Story) -> None:
    """Agents report healthy and applied while deletions are deferred: that uses the approval up."""
    await put(story, shop=objects(20), web=objects(2, "w"))
    held = told(await story.commit(shop=(CLUSTERS, ("o0",)), failed={"web": ("c1",)}), "shop")
    assert (await story.approve(held.revision)).accepted
    assert story.assignment("c1")[1].approvals
    await story.report("c1", "shop")
    await put(story, web=objects(2, "w"))
    assert not defers(story, "shop")
    assert story.assignment("c1")[1].approvals


@pytest.mark.xfail(strict=True, reason="an approved step that was sent has no date")
async def test_06_an_approval_whose_prune_is_deferred_expires(story: Story) -> None:
    await put(story, shop=objects(20), web=objects(2, "w"))
    held = told(await story.commit(shop=(CLUSTERS, ("o0",)), failed={"web": ("c1",)}), "shop")
    assert (await story.approve(held.revision)).accepted
    await story.later(hours=24 * 30)
    await put(story, web=objects(2, "w"))
    assert defers(story, "shop") or not story.assignment("c1")[1].approvals


# --- 7. held in silence -----------------------------------------------------------------------------


async def test_07_what_an_agent_holds_is_told_again_for_the_next_target(story: Story) -> None:
    """The fleet grows by c5: the target has another id, c2 is not moved, its hold can be approved by no id."""
    await story.commit(shop=(CLUSTERS, objects(20)), guards=LOOSE_SHARE)
    await story.commit(shop=(CLUSTERS, ("o0",)), guards=LOOSE_SHARE)
    await story.report("c2", "shop", holds=True)
    first = told(story.outbox.decisions[-1], "shop")
    story.clusters.append("c5")
    await story.enrol("c5")
    await story.commit(shop=((*CLUSTERS, "c5"), ("o0",)), guards=LOOSE_SHARE)
    for _ in range(3):
        await story.clock_on(minutes=3)
        await story.report("c2", "shop", holds=True)
    target = (await story.store.load()).targets["shop"].id
    tries = [
        await story.approve(first.revision),
        await story.approve(target),
        await story.approve(target, evidence=first.evidence),
    ]
    assert any(t.accepted for t in tries), [t.failure for t in tries]


async def test_07_what_an_agent_holds_while_the_guard_holds_is_told_afterwards(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(20)), guards=LOOSE_SHARE)
    await story.commit(shop=(CLUSTERS, ("o0", PVC)), guards=LOOSE_SHARE)
    await story.commit(shop=(CLUSTERS, ("o0",)), guards=LOOSE_SHARE)  # held by the guard
    await story.report("c2", "shop", holds=True)
    await story.commit(shop=(CLUSTERS, ("o0", PVC)), guards=LOOSE_SHARE)  # reverted
    for _ in range(3):
        await story.clock_on(minutes=3)
        await story.report("c2", "shop", holds=True)
    assert told(story.outbox.decisions[-1], "shop").verdict is AppVerdict.HELD


async def test_07_what_frees_an_object_lets_the_refused_app_go(story: Story) -> None:
    """Refused for an object of team-a's; team-a lets go of it, as KNR3010 advises: nobody looks again."""
    await story.commit(a=(CLUSTERS, ("x", "y")), source="team-a")
    refused = told(await story.commit(b=(CLUSTERS, ("z", "x")), source="team-b"), "b")
    assert refused.verdict is AppVerdict.REFUSED
    story.apps.pop("b")  # a commit of team-a lists no apps of team-b
    await story.commit(a=(CLUSTERS, ("y",)), source="team-a")
    await story.clock_on(minutes=120)
    assert has(story, "b", ("z", "x"))


@pytest.mark.parametrize("enrols_late", [False, True])
async def test_07_a_newcomer_gets_what_all_others_run(story: Story, enrols_late: bool) -> None:
    """shop is held for c4 alone, which has returned; c5 joins and gets no shop; enrolled late, nobody is told."""
    five = (*CLUSTERS, "c5")
    await story.commit(shop=(five, objects(20)))
    story.clusters.remove("c4")
    for count in (17, 14, 12):
        await story.later(hours=25)
        await story.commit(shop=(five, objects(count)))
    story.clusters.append("c4")
    assert told(await story.commit(web=(CLUSTERS, ("w",))), "shop").clusters == ("c4",)
    if not enrols_late:
        await story.enrol("c5")
    story.clusters.append("c5")
    await story.commit()
    await story.enrol("c5")
    assert "c5" in story.outbox.assignments
    assert has(story, "shop", objects(12), "c5")


# --- 8. one cluster, app or source to all ----------------------------------------------------------------


async def test_08_a_lying_agent_keeps_no_other_cluster_from_its_approval(story: Story) -> None:
    """c2 holds honestly. c1 names another digest at each report: what is approved is never what was told."""
    await put(story, shop=objects(6), web=("w",))
    held = told(await story.commit(shop=None), "shop")
    await story.approve(held.revision)
    generation, older = story.assignment("c2")[0].generation, digest_for("shop", objects(5))

    async def holds(cluster: str, digest: bytes) -> None:
        said: dict[str, Any] = {"digest": digest, "held_digests": (digest,), "generation": generation}
        await story.rollout.on_app_reports([AppReport(cluster=cluster, app="shop", state=AppState.HELD, **said)])

    await holds("c2", older)
    for turn in range(10):
        await story.clock_on(minutes=2)
        await holds("c1", (2 * turn + 1).to_bytes(32, "big"))
        await story.clock_on(minutes=0.2)
        await holds("c1", (2 * turn + 2).to_bytes(32, "big"))
        await story.approve(held.revision)
    assert [a.digest for a in story.assignment("c2")[1].approvals] == [older]


async def test_08_a_flapping_agent_keeps_no_other_cluster_from_its_approval(story: Story) -> None:
    await story.commit(shop=(CLUSTERS, objects(20)), guards=LOOSE_SHARE)
    await story.commit(shop=(CLUSTERS, ("o0",)), guards=LOOSE_SHARE)
    await story.report("c2", "shop", holds=True)
    for turn in range(6):
        await story.clock_on(minutes=2)
        await story.report("c1", "shop", holds=turn % 2 == 0)
        await story.report("c1", "shop", holds=turn % 2 == 1)
        await story.approve(told(story.outbox.decisions[-1], "shop").revision)
    assert story.assignment("c2")[1].approvals


async def test_08_one_cluster_makes_few_decisions_a_minute(story: Story) -> None:
    """Each names every cluster of the fleet; an agent that holds sixty apps makes sixty."""
    many: dict[str, Any] = {f"app{n}": (CLUSTERS, objects(9, f"a{n}-")) for n in range(60)}
    await story.commit(**many, guards=LOOSE_SHARE)
    fewer: dict[str, Any] = {a: (c, (o[0],)) for a, (c, o) in many.items()}
    await story.commit(**fewer, guards=LOOSE_SHARE)
    before = len(story.outbox.decisions)
    for app in many:
        await story.report("c1", app, holds=True)
    await story.clock_on(minutes=0.5)
    assert len(story.outbox.decisions) - before <= 5


async def test_08_an_app_that_never_rendered_and_is_gone_holds_nothing_back(story: Story) -> None:
    """It failed at its first commit and was removed: no commit speaks of it again, and deletions wait for ever."""
    await put(story, shop=objects(10))
    await story.commit(failed={"broken": ()})
    await put(story, shop=objects(9))
    assert not defers(story, "shop")


@pytest.mark.xfail(strict=True, reason="no commit says which sources the fleet has")
async def test_08_a_source_that_is_removed_while_its_app_fails_holds_nothing_back(story: Story) -> None:
    await put(story, shop=objects(10))
    await story.commit(failed={"broken": ("c1",)}, source="team")
    await put(story, shop=objects(9))
    await put(story, web=("w",))
    assert not defers(story, "shop")


async def test_08_two_writers_of_one_assignment_silence_nobody_else(story: Story) -> None:
    """KNR7011 for c1: no decision and no answer goes out, to anybody."""
    await put(story, shop=objects(3))
    real = story.outbox.assignment

    async def assignment(cluster: str, signed: bytes, *, expect: int) -> int:
        if cluster == "c1":
            raise Outdated(cluster)
        return await real(cluster, signed, expect=expect)

    story.outbox.assignment = assignment  # type: ignore[method-assign]
    before = len(story.outbox.decisions)
    await put(story, shop=objects(4))
    with contextlib.suppress(Retryable):
        await story.rollout.publish_what_is_missing()
    assert len(story.outbox.decisions) == before + 1


async def test_08_another_clusters_assignment_silences_nobody(story: Story) -> None:
    """A copy of c2's assignment on c1's subject: signed by us and newer, so c1 is sent nothing, untold."""
    await put(story, shop=objects(3))
    for count in range(4, 9):
        await story.commit(x=(("c2",), objects(count, "x")))
    story.outbox.assignments["c1"] = story.outbox.assignments["c2"]
    story = await restarted(story)
    await put(story, web=("w",))
    header, _ = verify_assignment(story.outbox.assignments["c1"], trusted=(bytes(story.signer.verify_key),))
    assert header.cluster == "c1"


async def test_08_a_generation_that_was_once_said_can_be_healed(story: Story) -> None:
    """2⁴⁸, once: from then on what the hub itself assigns is more than it believes; adopting does not help."""
    await put(story, shop=objects(3))
    await story.clock_on(minutes=2)
    await story.enrol("c1", generation_seen=2**48)
    await story.rollout.on_command(Command(command_id="a", verb=CommandVerb.ADOPT, cluster="c1", actor="ann"))
    await story.clock_on(minutes=120)
    await story.enrol("c1", uid="new", generation_seen=0)
    await story.enrol("c1", uid="new", generation_seen=story.assignment("c1")[0].generation)
    assert notices(story) == []


# --- 9. state ------------------------------------------------------------------------------------------------


async def test_09_indexes_are_forgotten_as_a_restart_forgets_them(story: Story) -> None:
    """Memory keeps each bundle's index for ever; what is loaded from the database has those in use."""
    for number in range(50):
        await put(story, shop=(*objects(10), f"v{number}"))
    await story.clock_on(minutes=1)
    assert len(story.rollout.state.indexes) <= 5


@pytest.mark.xfail(strict=True, reason="what left is kept as long as any target is held")
async def test_09_one_held_app_does_not_keep_what_left_all_others(story: Story) -> None:
    await put(story, held=objects(20, "h"), web=objects(100, "w"))
    await put(story, held=("h0",))
    for day in range(1, 40):
        await story.later(hours=25)
        await put(story, web=objects(100 - day, "w"))
    assert len((await story.store.load()).left["c1"]["web"]) < 10


async def test_09_a_dry_run_is_not_lost_with_the_broker(story: Story) -> None:
    """Accepted, not published, written over by the next commit's row."""
    await put(story, shop=objects(3))
    story.outbox.failing = retryable("KNR7011", "no answer in time")
    command = Command(command_id="p", verb=CommandVerb.PLAN, app="shop", cluster="c1", actor="ann")
    assert (await story.rollout.on_command(command)).accepted
    await put(story, shop=objects(4))
    story.outbox.failing = None
    await story.rollout.publish_what_is_missing()
    assert [d.request_id for d in story.assignment("c1")[1].dry_runs] == ["p"]


# --- 10. an older commit of the same source, with newer facts (two renderers) --------------------------------------


async def test_10_an_older_commit_with_newer_facts_clears_no_failure(story: Story) -> None:
    """o9 moves to web, which fails in c1; the older commit says that web renders, and o9 is pruned."""
    await put(story, shop=objects(10), web=("w",))
    await put(story, other=("x",))
    assert story.rendered is not None
    old = replace(story.rendered, facts_number=9)
    await story.commit(shop=(CLUSTERS, objects(9)), failed={"web": ("c1",)})
    await story.rollout.on_rendered(old)
    assert defers(story, "shop")


async def test_10_an_older_commit_with_newer_facts_brings_no_app_back(story: Story) -> None:
    await put(story, shop=objects(10), web=("w",))
    await put(story, other=("x",))
    assert story.rendered is not None
    old = replace(story.rendered, facts_number=9)
    await put(story, shop=None)
    await story.rollout.on_rendered(old)
    assert (await story.store.load()).targets["shop"].gone


async def test_10_an_older_commit_with_newer_facts_is_no_newer_revision(story: Story) -> None:
    await put(story, shop=objects(10))
    assert story.rendered is not None
    first = replace(story.revisions.by_app["shop"], revision="again", facts_number=9)
    old = replace(story.rendered, facts_number=9, apps=(replace(story.rendered.apps[0], revision="again"),))
    await put(story, shop=objects(11))
    story.revisions.by_app["shop"] = first
    await story.rollout.on_rendered(old)
    assert has(story, "shop", objects(11))


async def test_10_the_former_source_removes_no_app(story: Story) -> None:
    """team-b has the app; a late GONE of team-a's removes it (held by default)."""
    await story.commit(shop=(CLUSTERS, objects(4)), source="team-a")
    await story.commit(shop=(CLUSTERS, objects(4)), source="team-b", number=50, fleet_number=2)
    assert story.rendered is not None
    late = replace(
        story.rendered,
        commit=Commit(source="team-a", number=99),
        apps=(RenderedApp(app="shop", outcome=AppOutcome.GONE, source="team-a"),),
    )
    await story.rollout.on_rendered(late)
    assert not (await story.store.load()).targets["shop"].gone


# --- 11. the denominator is the committer's --------------------------------------------------------------------------


@pytest.mark.xfail(strict=True, reason="the share is of all that the app had in the window, also of what came in it")
async def test_11_objects_added_a_moment_ago_do_not_make_room(story: Story) -> None:
    """Ninety added, then the twenty that were there dropped: 20 of 110."""
    await put(story, shop=objects(20))
    await put(story, shop=(*objects(20), *objects(90, "new")))
    assert (await put(story, shop=objects(90, "new")))["shop"] is AppVerdict.HELD


@pytest.mark.xfail(strict=True, reason="the share is of all that the app had in the window, also of what came in it")
async def test_11_nor_in_the_agent(tmp_path: Path) -> None:
    def shop(*names: str) -> Any:
        return bundle_of("shop", *(config_map(n) for n in names), namespace="shop")

    async def brought(b: Bench, *names: str) -> None:
        digest = b.assign(shop(*names))["shop"].digest
        await b.state("shop", AppState.HEALTHY, digest)

    async with bench(tmp_path) as b:
        await brought(b, *objects(20))
        await brought(b, *objects(20), *objects(90, "new"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(brought(b, *objects(90, "new")), 3)
        assert b.get("ConfigMap", "o0") is not None
