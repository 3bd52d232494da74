"""What counts along in an app's budget: what is gone, what moved, what is going right now, what was recreated."""

from __future__ import annotations

from dataclasses import replace

from knarr.agent.core.budget import Deletions, Past, over_budget, room
from knarr.agent.core.health import CURRENT
from knarr.agent.core.inventory import Entry
from knarr.agent.core.objects import Ref, Seen
from knarr.agent.core.plan import Plan, Step
from knarr.agent.perform import Performed, Result
from knarr.agent.records import Record
from knarr.agent.window import Window
from knarr.bundle.budget import Budget
from knarr.pipeline.names import AppName, ObjectId
from knarr.pipeline.report import StepAction

SMALL, LARGE = AppName("small"), AppName("large")
NOW = 1_000_000


def ids(*numbers: int) -> list[ObjectId]:
    return [Ref(api_version="v1", kind="ConfigMap", namespace="shop", name=f"n{i}").id for i in numbers]


def record(app: AppName, *numbers: int, left: tuple[int, ...] = ()) -> Record:
    entries = {i: Entry("v1", 0, b"", "uid", b"m") for i in ids(*numbers)}
    return Record(app=app, entries=entries, left=dict.fromkeys(ids(*left), NOW))


def window(*records: Record) -> Window:
    return Window(
        budget=Budget(), records={r.app: r for r in records}, holder=lambda _: None, clock=lambda: NOW / 1000 + 1
    )


def test_what_another_app_deletes_right_now_is_gone_and_not_moved() -> None:
    """Between the decision and its end the other app's inventory has it still: both apps could go to the limit."""
    small = record(SMALL, 1, left=(2, 3))
    staying, going = record(LARGE, 2, 3), record(LARGE, 2, 3, left=(2,))
    assert window(small, staying).past(small).moved == frozenset(ids(2, 3))
    past = window(small, going).past(small)
    assert (past.gone, past.moved) == (frozenset(ids(2)), frozenset(ids(3)))


def test_an_approval_settles_it_for_the_app_that_the_objects_came_from_too() -> None:
    small, large = record(SMALL, 1, left=(2, 3)), record(LARGE, 2, 4)
    step = Step(action=StepAction.PRUNE, ref=Ref(api_version="v1", kind="ConfigMap", namespace="shop", name="n2"))
    done = Performed(results=(Result(step=step, gone=True),))
    plan = Plan(app=LARGE, digest=b"d", steps=(step,), approved=True)
    del large.entries[ids(2)[0]]
    assert window(small, large).settle(large, plan, done) == (small,)
    assert list(small.left) == ids(3)
    unapproved = replace(plan, approved=False)
    assert window(small, large).settle(large, unapproved, done) == ()
    assert list(small.left) == ids(3)


def test_what_was_recreated_counts_along_until_it_is_approved_or_old() -> None:
    shop = record(SMALL, *range(10))
    again = Step(action=StepAction.RECREATE, ref=Ref(api_version="v1", kind="ConfigMap", namespace="shop", name="n2"))
    seen = Result(step=again, seen=Seen(uid="u", version=1, owner="small", mark=b"m", health=CURRENT))
    plan = Plan(app=SMALL, digest=b"d", steps=(again,))
    window(shop).settle(shop, plan, Performed(results=(seen,)))
    past = window(shop).past(shop)
    assert past.recreated == frozenset(ids(2))
    unchanged = Deletions(has=10, stays=10)
    assert room(unchanged, Past(has=10), Budget()) == 2
    assert room(unchanged, past, Budget()) == 1
    going = Deletions(has=10, stays=8, going=frozenset(ids(5, 6)))
    assert over_budget(going, Past(has=10), (), Budget(), None) is None
    assert over_budget(going, past, (), Budget(), None) is not None
    window(shop).settle(shop, replace(plan, approved=True), Performed(results=(seen,)))
    assert window(shop).past(shop).recreated == frozenset()
