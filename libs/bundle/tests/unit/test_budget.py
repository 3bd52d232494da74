"""One rule of deletions for hub and agent: shares over a window, protection apart from removal, renames by number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.bundle.budget import Budget, Excess, Tally, excesses, is_many, lost, stable_id, within


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (Tally(before=100, after=80, going=20), ()),
        (Tally(before=100, after=79, going=21), (Excess.MANY,)),
        (Tally(before=10, after=8, going=2), ()),  # two of ten: fewer than three
        (Tally(before=8, after=6, going=2, gone=2), (Excess.MANY,)),  # and two more of what was ten
        (Tally(before=81, after=66, going=15, gone=19), (Excess.MANY,)),
        (Tally(before=90, after=80, going=10, gone=10), ()),  # a fifth of the hundred that it had
        (Tally(before=1, after=1, going=0, gone=9), ()),  # nothing goes now
        (Tally(before=91, after=91, going=9, moved=0), ()),
        (Tally(before=2, after=0, going=0), (Excess.EMPTIED,)),  # also where all has moved
        (Tally(before=1, after=0, going=1, removed=True), (Excess.REMOVED,)),
        (Tally(before=3, after=0, going=3, protected=1, removed=True), (Excess.REMOVED, Excess.PROTECTED)),
        (Tally(before=50, after=49, going=1, protected=1), (Excess.PROTECTED,)),
    ],
)
def test_what_may_not_go_unasked(tally: Tally, expected: tuple[Excess, ...]) -> None:
    assert excesses(tally, Budget()) == expected


def test_protection_is_its_own_question() -> None:
    tally = Tally(before=3, after=0, going=3, protected=1, removed=True)
    assert excesses(tally, Budget(hold_removal=False)) == (Excess.PROTECTED,)
    assert excesses(tally, Budget(hold_removal=False, hold_protected=False)) == ()


@given(st.integers(0, 60), st.integers(0, 60))
def test_exactly_the_share_may_go(lost_objects: int, had: int) -> None:
    assert is_many(lost_objects, had, Budget()) == (lost_objects >= 3 and lost_objects * 5 > had)


def config(name: str) -> str:
    return f"/ConfigMap/shop/{name}"


def test_a_new_hash_suffix_is_a_change() -> None:
    assert lost([config("app-bbbbbbbbbb")], [config("app-cccccccccc")]) == frozenset()
    assert stable_id(config("app-bbbbbbbbbb")) == config("app")


def test_one_new_object_excuses_one_rename_only() -> None:
    before = [config(f"app-{letter * 10}") for letter in "bcdfghkm"]
    assert len(lost(before, [config("app-tttttttttt")])) == 7


def test_other_kinds_have_no_suffix() -> None:
    assert lost(["apps/Deployment/shop/web-bbbbbbbbbb"], ["apps/Deployment/shop/web-cccccccccc"])
    assert stable_id("apps/Deployment/shop/web-bbbbbbbbbb") == ""
    assert stable_id(config("-bbbbbbbbbb")) == ""


def test_what_left_before_the_window_is_forgotten() -> None:
    assert within({"a": 0, "b": 1, "c": 2}, 86_400_000, Budget()) == {"b": 1, "c": 2}
