"""The first dead letters of a sender are kept, one says that there are more, and the others are counted."""

from __future__ import annotations

from knarr.messaging.allowance import Allowance, Room, Spending


def test_a_sender_has_room_for_some_and_a_new_window_gives_it_back() -> None:
    allowance = Allowance(3, 600.0)
    assert [allowance.take("c1", t) for t in (0, 1, 2, 3, 61, 62, 63)] == [
        Room.FREE, Room.FREE, Room.LAST, Room.NONE, Room.NONE, Room.LAST, Room.NONE,
    ]  # fmt: skip
    assert allowance.take("c2", 59) is Room.FREE
    assert allowance.take("c1", 600) is Room.FREE


def test_ten_thousand_names_cost_no_more_memory_and_leave_room_for_who_comes_back() -> None:
    allowance = Allowance(2, 60.0)
    for number in range(20_000):
        allowance.take(f"c{number}", 0)
    assert len(allowance._spent) <= 10_001
    assert allowance.take("new", 1) is Room.NONE  # they share one
    assert allowance.take("new", 61) is Room.FREE


def test_a_sender_spends_its_own_time_and_gets_it_back() -> None:
    spending = Spending(3.0, 60.0)
    for second in range(4):
        assert not spending.is_spent("c1", second)
        spending.add("c1", 0.8, second)
    assert spending.is_spent("c1", 4)
    assert not spending.is_spent("c2", 4)
    assert spending.is_spent("c1", 59)
    assert not spending.is_spent("c1", 60)
    spending.add("c1", 0.8, 60)
    assert not spending.is_spent("c1", 61)
