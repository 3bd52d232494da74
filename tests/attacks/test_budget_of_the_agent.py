"""Deletions past the agent's own budget: in slices, through another app, with approvals of something else (I2)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from knarr.bundle.budget import Budget
from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import Approval, DryRun
from knarr.pipeline.report import AppState, PlanReport
from knarr.testkit.agent_bench import Bench, bench, config_map
from knarr.testkit.agent_hub import MemoryHub, bundle_of

Object = dict[str, Any]


def app(name: str, *objects: Object, **policy: Any) -> Bundle:
    return bundle_of(name, *objects, namespace="shop", **policy)


def maps(names: range, letter: str = "n") -> list[Object]:
    return [config_map(f"{letter}{i}") for i in names]


def claim(name: str) -> Object:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": {}}


def count(b: Bench, letter: str = "n") -> int:
    """How many ConfigMaps of the namespace there are, by the first letter of their names."""
    keys = list(b.cluster.objects.found)
    return sum(k[1] == "ConfigMap" and k[2] == "shop" and k[3].startswith(letter) for k in keys)


async def brought(b: Bench, *bundles: Bundle, state: AppState = AppState.HEALTHY, **more: Any) -> bytes:
    """Assigned, and the first of them so; its digest."""
    apps = b.assign(*bundles, **more)
    first = bundles[0].header.app
    await b.state(first, state, apps[first].digest)
    for other in bundles[1:]:
        await b.state(other.header.app, AppState.HEALTHY, apps[other.header.app].digest)
    return apps[first].digest


async def test_a_fifth_and_a_fifth_of_what_is_left(tmp_path: Path) -> None:
    """Done: 100 → 81 → 66 → 53 → 43 → 35 objects in five commits. The second already is more than a fifth."""
    async with bench(tmp_path) as b:
        await brought(b, app("shop", *maps(range(100))))
        await brought(b, app("shop", *maps(range(81))))
        for left in (66, 53, 43, 35):
            await brought(b, app("shop", *maps(range(left))), state=AppState.HELD)
            assert count(b) == 81
        report = b.hub.app("shop")
        assert report is not None
        assert report.failures[0].code == "KNR4030"
        assert "46 of 100 objects, after 19" in report.failures[0].message


async def test_two_of_ten_again_and_again_with_a_restart_between(tmp_path: Path) -> None:
    """Done: two of ten objects, four times. What went is remembered across a restart of the agent."""
    async with bench(tmp_path) as b:
        await brought(b, app("shop", *maps(range(10))))
        await brought(b, app("shop", *maps(range(8))))
    async with bench(tmp_path, MemoryHub("c1"), generation=2) as b:
        for left in (6, 4, 2):
            await brought(b, app("shop", *maps(range(left))), state=AppState.HELD)
            assert count(b) == 8


async def test_what_went_a_day_ago_is_forgotten_and_what_was_approved_at_once(tmp_path: Path) -> None:
    ahead = [0.0]
    async with bench(tmp_path, clock=lambda: time.time() + ahead[0]) as b:
        await brought(b, app("shop", *maps(range(20))))
        await brought(b, app("shop", *maps(range(16))))
        ahead[0] = 86_401.0
        await brought(b, app("shop", *maps(range(13))))
        less = app("shop", *maps(range(9)))
        digest = await brought(b, less, state=AppState.HELD)
        await brought(b, less, approvals=(Approval(app="shop", digest=digest),))
        await brought(b, app("shop", *maps(range(7))))
        assert count(b) == 7


async def test_nine_of_ten_moved_to_a_large_app_and_dropped_there(tmp_path: Path) -> None:
    """Done: what moved to an app of a hundred objects was nine of a hundred and nine there. It is nine of ten still."""
    async with bench(tmp_path) as b:
        large = maps(range(100), "l")
        await brought(b, app("large", *large), app("small", *maps(range(10))))
        await brought(b, app("large", *large, *maps(range(9))), app("small", *maps(range(9, 10))))
        await brought(b, app("large", *large), app("small", *maps(range(9, 10))), state=AppState.HELD)
        assert count(b) == 10
        report = b.hub.app("large")
        assert report is not None
        assert "app small" in report.failures[0].message
        apps = b.assign(app("large", *large), app("small", *maps(range(9, 10))))
        approval = Approval(app="large", digest=apps["large"].digest)
        await brought(b, app("large", *large), app("small", *maps(range(9, 10))), approvals=(approval,))
        assert count(b) == 1


async def test_moved_in_two_hops_and_dropped_in_slices_while_its_app_is_gone(tmp_path: Path) -> None:
    """Done: nine of ten to one app and on to another; the first app removed with approval; a restart; then dropped."""
    async with bench(tmp_path) as b:
        large, middle = maps(range(100), "l"), maps(range(100), "m")
        await brought(b, app("large", *large), app("middle", *middle), app("small", *maps(range(10))))
        moved = maps(range(9))
        await brought(b, app("middle", *middle, *moved), app("large", *large), app("small", *maps(range(9, 10))))
        await brought(b, app("large", *large, *moved), app("middle", *middle), app("small", *maps(range(9, 10))))
        approval = b.assigner.removal("small")
        b.assign(app("large", *large, *moved), app("middle", *middle), tombstones=("small",), approvals=(approval,))
        await b.state("small", AppState.REMOVED)
        assert count(b) == 9
        await brought(b, app("large", *large, *moved), app("middle", *middle))
        generation = b.assigner.generation
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == generation)
    async with bench(tmp_path, MemoryHub("c1"), generation=generation) as b:
        await brought(b, app("large", *large, *moved[:7]), app("middle", *middle))
        await brought(b, app("large", *large, *moved[:5]), app("middle", *middle), state=AppState.HELD)
        assert count(b) == 7


async def test_objects_that_are_back_are_not_gone(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await brought(b, app("shop", *maps(range(10))))
        await brought(b, app("shop", *maps(range(8))))
        await brought(b, app("shop", *maps(range(10))))
        await brought(b, app("shop", *maps(range(2, 10))))
        assert count(b) == 8


async def test_objects_that_come_back_with_the_commit_that_deletes_others_are_not_gone(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await brought(b, app("shop", *maps(range(10))))
        await brought(b, app("shop", *maps(range(8))))
        await brought(b, app("shop", *maps(range(2, 10))))
        assert count(b) == 8


async def test_a_bundle_s_approval_is_used_for_a_later_deletion(tmp_path: Path) -> None:
    """Done: approved, reverted, and the same revision pushed again. The approval is gone with its assignment."""
    async with bench(tmp_path) as b:
        whole, less = app("shop", *maps(range(20))), app("shop", *maps(range(2)))
        await brought(b, whole)
        digest = await brought(b, less, state=AppState.HELD)
        await brought(b, less, approvals=(Approval(app="shop", digest=digest),))
        assert count(b) == 2
        await brought(b, whole)
        await brought(b, less, state=AppState.HELD)
        other = (Approval(app="shop", digest=b"x" * 32), Approval(app="shop", digest=digest, removal=True))
        b.assign(less, approvals=other)
        await b.until(
            lambda: b.hub.sequence > 0 and (r := b.hub.cluster_report()) is not None and r.generation_seen == 6
        )
        assert count(b) == 20


async def test_a_removal_with_an_approval_of_something_else(tmp_path: Path) -> None:
    """Done: the approval of an earlier removal, of another bundle, of an older hub that names neither."""
    async with bench(tmp_path) as b:
        await brought(b, app("shop", *maps(range(24))))
        right = b.assigner.removal("shop")
        wrong = (
            (Approval(app="shop", removal=True, protected=True), "an older hub"),
            (Approval(app="shop", removal=True, digest=right.digest), "earlier removal"),
            (Approval(app="shop", removal=True, since_generation=2), "earlier removal"),
            (Approval(app="shop", removal=True, digest=right.digest, since_generation=1), "earlier removal"),
            (Approval(app="shop", removal=True, digest=b"x" * 32, since_generation=2), "another bundle"),
            (Approval(app="shop", digest=right.digest, since_generation=2), ""),
            (Approval(app="bank", removal=True, digest=right.digest, since_generation=2), ""),
        )
        for approval, said in wrong:
            b.assign(tombstones=("shop",), approvals=(approval,))
            await b.until(
                lambda: (
                    (r := b.hub.app("shop")) is not None
                    and (r.state, r.generation) == (AppState.HELD, b.assigner.generation)
                )
            )
            report = b.hub.app("shop")
            assert report is not None
            assert said in report.failures[0].message
            assert count(b) == 24
        b.assign(tombstones=("shop",), approvals=(right,))
        await b.state("shop", AppState.REMOVED)
        assert count(b) == 0


async def test_a_removal_of_an_app_whose_last_bundle_was_never_begun(tmp_path: Path) -> None:
    """The hub names the bundle that it assigned last. The agent knows that one too, also after a restart."""
    async with bench(tmp_path) as b:
        await brought(b, app("shop", *maps(range(24))))
        b.assign(app("shop", *maps(range(25)), depends_on=("nobody",)))
        await b.until(lambda: (r := b.hub.app("shop")) is not None and "nobody" in r.message)
        b.assign(tombstones=("shop",))
        await b.state("shop", AppState.HELD)
        digests, since = b.assigner.digests, b.assigner.removals
    async with bench(tmp_path, MemoryHub("c1"), generation=3) as b:
        b.assigner.digests, b.assigner.removals = digests, since
        b.assign(tombstones=("shop",), approvals=(b.assigner.removal("shop"),))
        await b.state("shop", AppState.REMOVED)
        assert count(b) == 0


async def test_the_app_returns_and_is_removed_again(tmp_path: Path) -> None:
    """Done: removal approved → gone → reverted → removed again, and the hub still sends the first approval."""
    async with bench(tmp_path) as b:
        await brought(b, app("shop", *maps(range(24))))
        first = b.assigner.removal("shop")
        b.assign(tombstones=("shop",), approvals=(first,))
        await b.state("shop", AppState.REMOVED)
        await brought(b, app("shop", *maps(range(24))))
        b.assign(tombstones=("shop",), approvals=(first,))
        await b.state("shop", AppState.HELD)
        assert count(b) == 24


async def test_removals_go_unasked_where_the_owner_says_so_and_protected_kinds_wait_still(tmp_path: Path) -> None:
    """Done: `holdRemoval: false` with protection left on. A claim waits for an approval of its own."""
    async with bench(tmp_path, budget=Budget(hold_removal=False)) as b:
        b.assign(app("shop", *maps(range(10))), app("bank", claim("db"), config_map("b1")))
        await b.state("shop", AppState.HEALTHY)
        await b.until(lambda: (r := b.hub.app("bank")) is not None and r.applied_at_ms > 0)
        b.assign(tombstones=("shop", "bank"))
        await b.state("shop", AppState.REMOVED)
        await b.state("bank", AppState.HELD)
        report = b.hub.app("bank")
        assert report is not None
        assert report.failures[0].code == "KNR4031"
        b.assign(tombstones=("shop", "bank"), approvals=(b.assigner.removal("bank"),))
        await b.until(lambda: (r := b.hub.app("bank")) is not None and r.generation == 3)
        assert b.get("PersistentVolumeClaim", "db") is not None
        b.assign(tombstones=("shop", "bank"), approvals=(b.assigner.removal("bank", protected=True),))
        await b.state("bank", AppState.REMOVED)
        assert b.get("PersistentVolumeClaim", "db") is None


@pytest.mark.parametrize("protected", [True, False])
async def test_an_approval_opens_protected_kinds_only_where_it_says_so(tmp_path: Path, protected: bool) -> None:
    async with bench(tmp_path) as b:
        b.assign(app("shop", claim("db"), *maps(range(10))))
        await b.until(lambda: (r := b.hub.app("shop")) is not None and r.applied_at_ms > 0)
        less = app("shop", *maps(range(10)))
        digest = await brought(b, less, state=AppState.HELD)
        b.assign(less, approvals=(Approval(app="shop", digest=digest, protected=protected),))
        if protected:
            await b.state("shop", AppState.HEALTHY, digest)
        else:
            await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_seen == 3)
        assert (b.get("PersistentVolumeClaim", "db") is None) == protected


async def test_names_with_a_hash_count_one_for_one(tmp_path: Path) -> None:
    """Done: eight ConfigMaps under one stable name replaced by one. Seven are lost, whatever their suffix."""
    async with bench(tmp_path) as b:
        many = [config_map(f"n-{letter * 10}") for letter in "bcdfghkm"]
        await brought(b, app("shop", *many, *maps(range(4), "k")))
        one = app("shop", config_map("n-tttttttttt"), *maps(range(4), "k"))
        await brought(b, one, state=AppState.HELD)
        assert count(b) == 9


async def test_a_rename_is_no_loss_also_while_the_rest_of_the_bundle_fails(tmp_path: Path) -> None:
    """The new object is there before the old one goes: a pass between the two must not take the old one for lost."""
    async with bench(tmp_path) as b:
        old = [config_map(f"n{i}-bbbbbbbbbb") for i in range(5)]
        new = [config_map(f"n{i}-cccccccccc") for i in range(5)]
        await brought(b, app("shop", *old, config_map("k")))
        bad = {"apiVersion": "example.com/v1", "kind": "Nothing", "metadata": {"name": "x", "namespace": "shop"}}
        await brought(b, app("shop", *new, config_map("k"), bad), state=AppState.FAILED)
        assert count(b) == 10
        await brought(b, app("shop", *new, config_map("k", x="2")))
        assert count(b) == 5


async def test_a_dry_run_counts_what_went_before(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await brought(b, app("shop", *maps(range(10))))
        now = app("shop", *maps(range(8)))
        await brought(b, now)
        asked = b.prepared(app("shop", *maps(range(6))))
        b.assign(now, dry_runs=(DryRun(request_id="q", app=asked),))
        await b.until(lambda: "plan q" in b.hub.reports)
        report = b.hub.reports["plan q"]
        assert isinstance(report, PlanReport)
        assert [f.code for f in report.failures] == ["KNR4030"]
