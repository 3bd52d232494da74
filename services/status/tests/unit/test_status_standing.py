"""How an app stands, in a table with a sentence per case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.pipeline.report import AppState
from knarr.status.core.standing import COUNTED, Standing, standing, standing_of_word, worst

NEW, OLD = b"n" * 32, b"o" * 32
CASES = [
    ("healthy with the assigned digest is healthy", AppState.HEALTHY, NEW, NEW, Standing.HEALTHY),
    ("healthy with another digest only waits", AppState.HEALTHY, OLD, NEW, Standing.WAITING),
    ("progressing with the old digest waits for the new one", AppState.PROGRESSING, OLD, NEW, Standing.WAITING),
    ("degraded by the old digest waits too: what matters is on its way", AppState.DEGRADED, OLD, NEW, Standing.WAITING),
    ("a failure is told whatever the digest", AppState.FAILED, OLD, NEW, Standing.FAILED),
    ("the agent's own budget is told whatever the digest", AppState.HELD, OLD, NEW, Standing.HELD),
    ("assigned and never reported waits", None, None, NEW, Standing.WAITING),
    ("neither assigned nor reported is not there", None, None, None, Standing.REMOVED),
    ("removed is removed", AppState.REMOVED, b"", None, Standing.REMOVED),
    ("removed but assigned again waits", AppState.REMOVED, b"", NEW, Standing.WAITING),
    ("detached: what it says is what it is", AppState.DEGRADED, OLD, None, Standing.DEGRADED),
    ("a state of a newer agent is unknown", AppState.UNSPECIFIED, NEW, NEW, Standing.UNKNOWN),
]


@pytest.mark.parametrize(("sentence", "state", "digest", "assigned", "expected"), CASES, ids=[c[0] for c in CASES])
def test_standing(
    sentence: str, state: AppState | None, digest: bytes | None, assigned: bytes | None, expected: Standing
) -> None:
    assert standing(state, digest, assigned) is expected


@given(st.lists(st.sampled_from(Standing)))
def test_a_cluster_is_as_bad_as_its_worst_app(standings: list[Standing]) -> None:
    counted = [s for s in standings if s is not Standing.REMOVED]
    assert worst(standings) == max(counted, default=Standing.HEALTHY)


@given(st.sampled_from(list(AppState)), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_never_healthy_without_the_assigned_digest(state: AppState, digest: bytes, assigned: bytes) -> None:
    if standing(state, digest, assigned) is Standing.HEALTHY:
        assert digest == assigned


def test_words_and_letters_are_distinct_and_read_back() -> None:
    assert len({s.letter for s in Standing}) == len(Standing)
    assert [standing_of_word(s.word) for s in COUNTED] == list(COUNTED)
