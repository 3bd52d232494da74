"""Numbers, schedule, globs, standing."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.fetcher.core.globs import covers
from knarr.fetcher.core.numbering import next_number
from knarr.fetcher.core.schedule import seconds_until_next_look
from knarr.fetcher.core.standing import Standing, next_report
from knarr.pipeline.failure import Failure
from knarr.pipeline.snapshot import Commit, SourceReported


@given(st.integers(0, 2**62), st.lists(st.integers(0, 2**62), max_size=20))
def test_numbers_only_grow_whatever_the_clock_does(first: int, clock: list[int]) -> None:
    numbers = [first]
    for now in clock:
        numbers.append(next_number(numbers[-1], now))
    assert numbers == sorted(set(numbers))


@given(st.floats(0.1, 100_000), st.integers(0, 10_000), st.floats(0, 0.999))
def test_the_wait_grows_with_failures_within_bounds(interval: float, failures: int, draw: float) -> None:
    seconds = seconds_until_next_look(interval, failures, draw)
    assert 0.9 * interval <= seconds <= 1.1 * max(interval, 300.0)
    assert seconds <= seconds_until_next_look(interval, failures + 1, draw)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("apps/shop", "apps/shop/a.yaml", True),
        ("apps/shop", "apps/shopping/a.yaml", False),
        ("apps/*", "apps/shop/deep/a.yaml", True),
        ("apps/*/base", "apps/shop/base/x", True),
        ("apps/*/base", "apps/shop/overlay/x", False),
        ("**/base", "a/b/c/base/x", True),
        ("**/*.yaml", "a.yaml", True),
        ("**/*.yaml", "x/y/a.yaml", True),
        ("**/*.yaml", "x/y/a.yml", False),
        ("*.yaml", "x/a.yaml", False),
        ("a?c", "abc", True),
        ("/apps/", "apps/x", True),
        ("**", "anything/at/all", True),
        ("a/**", "a/b", True),
        ("README*", "README.md", True),
        ("apps/shop/a.yaml", "apps/shop", False),
    ],
)
def test_globs(pattern: str, path: str, expected: bool) -> None:
    assert covers(pattern, path) is expected


_SIMPLE = st.text("ab*?", min_size=1, max_size=8)


@given(_SIMPLE, st.text("ab", min_size=1, max_size=8))
def test_one_part_matches_as_fnmatch_says(pattern: str, text: str) -> None:
    if pattern.count("*") > 1 and "**" in pattern and pattern == "**":
        return
    assert covers(pattern, text) is fnmatch.fnmatchcase(text, pattern)


def test_a_hostile_glob_takes_no_time() -> None:
    assert not covers("/".join(["**", "*a*a*a*a*a*b"] * 20), "/".join(["a" * 100] * 40))


_DOWN = Failure(code="KNR1001", message="down")


def test_the_first_word_about_a_source_is_told() -> None:
    report = next_report(None, Standing(source="s", reachable=True, commit=Commit(sha="a")), 5)
    assert report == SourceReported(source="s", reachable=True, since_ms=5, commit=Commit(sha="a"))


def test_nothing_new_is_not_told_again() -> None:
    before = next_report(None, Standing(source="s", reachable=False, failure=_DOWN), 5)
    assert next_report(before, Standing(source="s", reachable=False, failure=_DOWN), 9) is None


def test_a_failure_keeps_the_last_commit_and_says_since_when() -> None:
    up = next_report(None, Standing(source="s", reachable=True, commit=Commit(sha="a")), 5)
    down = next_report(up, Standing(source="s", reachable=False, failure=_DOWN), 9)
    assert down == SourceReported(source="s", reachable=False, failure=_DOWN, since_ms=9, commit=Commit(sha="a"))
    other = Failure(code="KNR1001", message="down in another way")
    still = next_report(down, Standing(source="s", reachable=False, failure=other), 12)
    assert still is not None
    assert (still.since_ms, still.failure) == (9, other)


def test_a_new_commit_does_not_change_since_when_it_is_reachable() -> None:
    up = next_report(None, Standing(source="s", reachable=True, commit=Commit(sha="a")), 5)
    later = next_report(up, Standing(source="s", reachable=True, commit=Commit(sha="b")), 9)
    assert later is not None
    assert (later.since_ms, later.commit) == (5, Commit(sha="b"))
