"""No sequence of commits gets past the budget: deletions, moves and returns of two apps in any order (I2)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.agent.core.health import CURRENT
from knarr.agent.core.inventory import Entry
from knarr.agent.core.objects import Seen, ref_of
from knarr.agent.core.plan import Plan, Situation, make_plan
from knarr.agent.holders import Holders
from knarr.agent.perform import Performed, Result
from knarr.agent.records import Record, record_from_bytes, record_to_bytes
from knarr.agent.window import Window
from knarr.bundle.budget import Budget
from knarr.bundle.canonical import Object
from knarr.bundle.header import Header
from knarr.pipeline.assignment import Approval
from knarr.pipeline.names import AppName, ObjectId
from knarr.pipeline.report import StepAction

LEFT, RIGHT = AppName("left"), AppName("right")
POOL = 14
# Per object: whose it is after a commit.
COMMITS = st.lists(st.lists(st.sampled_from([LEFT, LEFT, RIGHT, None]), min_size=POOL, max_size=POOL), max_size=7)


def named(number: int) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"n{number}", "namespace": "shop"}}


@dataclass
class Fleet:
    """Two apps of one cluster; plans are carried out whole."""

    records: dict[AppName, Record] = field(default_factory=lambda: {a: Record(app=a) for a in (LEFT, RIGHT)})
    live: dict[ObjectId, Seen] = field(default_factory=dict)
    holders: Holders = field(default_factory=Holders)
    numbers: itertools.count[int] = field(default_factory=itertools.count)
    now: float = 1_000_000.0

    def commit(
        self, owners: Sequence[AppName | None], order: Sequence[AppName], approved: frozenset[AppName] = frozenset()
    ) -> None:
        bundles = {a: [named(i) for i, owner in enumerate(owners) if owner == a] for a in self.records}
        for app in order:
            self.holders.claim(app, [ref_of(o).id for o in bundles[app]])
        for app in (*order, *order):
            self._pass(app, bundles[app], approved=app in approved)

    def _pass(self, app: AppName, bundle: list[Object], *, approved: bool) -> None:
        record = self.records[app] = record_from_bytes(record_to_bytes(self.records[app]))
        window = Window(budget=Budget(), records=self.records, holder=self.holders.has, clock=lambda: self.now)
        wanted = {ref_of(o).id for o in bundle}
        elsewhere = self.holders.others(app, {*record.entries, *wanted})
        plan = make_plan(
            Situation(
                app=app,
                digest=b"d",
                header=Header(app=app),
                objects=tuple(bundle),
                inventory=dict(record.entries),
                live=dict(self.live),
                claims=elsewhere,
                moved=self.holders.moved(app, record.entries),
                approvals=(Approval(app=app, digest=b"d"),) if approved else (),
                past=window.past(record),
                origins=window.origins(record),
                renamed=record.renamed,
            )
        )
        window.begin(record, plan, wanted)
        performed = Performed(results=tuple(self._carry_out(record, plan)))
        window.let_go(record, self.holders.moved(app, record.entries) - wanted)
        window.settle(record, plan, performed)

    def _carry_out(self, record: Record, plan: Plan) -> list[Result]:
        results = []
        for step in plan.steps:
            identity, gone = step.ref.id, step.action is StepAction.PRUNE
            if step.action in (StepAction.CREATE, StepAction.CONFIGURE):
                before = self.live.get(identity)
                uid = before.uid if before else f"u{next(self.numbers)}"
                self.live[identity] = Seen(uid=uid, version=1, owner=record.app, mark=b"m", health=CURRENT)
                record.entries[identity] = Entry("v1", 0, step.content, uid, b"m")
            elif gone:
                del self.live[identity], record.entries[identity]
            results.append(Result(step=step, gone=gone))
        return results


def lost(fleet: Fleet, ever: Mapping[AppName, set[ObjectId]], app: AppName) -> int:
    return len(ever[app] - fleet.live.keys())


@given(COMMITS, st.lists(st.booleans(), min_size=7, max_size=7))
@settings(max_examples=300, deadline=None)
def test_within_a_day_no_app_loses_more_than_its_share(commits: list[list[AppName | None]], turned: list[bool]) -> None:
    """Whatever is deleted, moved, returned: of all that an app ever had, at most two objects or a fifth are gone."""
    fleet, ever = Fleet(), dict[AppName, set[ObjectId]]({LEFT: set(), RIGHT: set()})
    for owners, turn in zip(commits, turned, strict=False):
        fleet.commit(owners, (RIGHT, LEFT) if turn else (LEFT, RIGHT))
        for app, record in fleet.records.items():
            ever[app] |= record.entries.keys()
            assert lost(fleet, ever, app) <= max(2, len(ever[app]) // 5), app
        held = [i for r in fleet.records.values() for i in r.entries]
        assert sorted(held) == sorted(fleet.live), "what is live is in one inventory"


@given(COMMITS)
@settings(deadline=None)
def test_an_approval_lets_exactly_its_app_go(commits: list[list[AppName | None]]) -> None:
    fleet = Fleet()
    for owners in commits:
        before = set(fleet.records[LEFT].entries)
        fleet.commit(owners, (LEFT, RIGHT), approved=frozenset({LEFT}))
        left, wanted = fleet.records[LEFT], {ref_of(named(i)).id for i, o in enumerate(owners) if o == LEFT}
        assert left.entries.keys() == wanted
        gone = before - wanted - fleet.records[RIGHT].entries.keys()
        assert not gone & left.left.keys(), "what was approved does not count any more"


@given(COMMITS.filter(len), COMMITS.filter(len))
@settings(deadline=None)
def test_a_day_later_it_begins_anew(first: list[list[AppName | None]], then: list[list[AppName | None]]) -> None:
    """What is decided of the same objects does not depend on what left more than a window ago."""
    fleet = Fleet()
    for owners in first:
        fleet.commit(owners, (LEFT, RIGHT))
    fleet.now += 86_401.0
    fresh = Fleet(
        records={a: Record(app=a, entries=dict(r.entries)) for a, r in fleet.records.items()}, live=dict(fleet.live)
    )
    fresh.numbers, fresh.now = itertools.count(1_000), fleet.now
    for owners in then:
        fleet.commit(owners, (LEFT, RIGHT))
        fresh.commit(owners, (LEFT, RIGHT))
        assert fleet.live.keys() == fresh.live.keys()
