"""Sentences and counts: explain, held, timeline, summary, freshness, page tokens."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.pipeline.errors import Rejected
from knarr.status.core.explain import Question, explain
from knarr.status.core.freshness import Patience, age
from knarr.status.core.held import held_words
from knarr.status.core.page_token import make_token, read_token
from knarr.status.core.standing import Standing
from knarr.status.core.summary import Group, in_stage_order, tally, total
from knarr.status.core.text import clean
from knarr.status.core.timeline import CommitState, Progress, commit_state, stages

NEW, OLD = b"n" * 32, b"o" * 32
THERE = Question(
    cluster="prod-7", app="web", now_ms=1_000_000, heard_at_ms=999_000, generation_seen=12, commit="abc1234",
    rendered=True, decided=True, outcome="revision", revision="f" * 64, revision_known=True, wanted=NEW,
    verdict="assigned", standing=Standing.HEALTHY, digest=NEW, assigned=NEW, assigned_generation=12,
    assigned_at_ms=880_000, since_at_ms=940_000,
)  # fmt: skip
FAILED = ({"code": "KNR4105", "message": "replicas must be a number", "next_step": "Mend it."},)

SENTENCES = [
    (THERE, True, "prod-7 is on abc1234 for web, healthy for 1 min."),
    (replace(THERE, cluster_known=False), False, "No cluster named prod-7 is known."),
    (replace(THERE, app_known=False), False, "No app named web is known."),
    (
        replace(THERE, standing=Standing.FAILED, failures=FAILED, since_at_ms=None),
        True,
        "prod-7 has abc1234 of web, but some of it has failed: replicas must be a number.",
    ),
    (
        replace(THERE, standing=Standing.PROGRESSING, message="waiting for Deployment web"),
        True,
        "prod-7 has abc1234 of web, but it has been progressing for 1 min: waiting for Deployment web.",
    ),
    (replace(THERE, digest=OLD, rendered=False), False, "abc1234 is still being rendered."),
    (
        replace(THERE, digest=OLD, outcome="failed", render_failures=FAILED),
        False,
        "web did not render in abc1234: replicas must be a number. The last good revision stays.",
    ),
    (replace(THERE, digest=OLD, wanted=None), False, "web does not target prod-7 in abc1234."),
    (
        replace(THERE, digest=OLD, decided=False, verdict=""),
        False,
        "abc1234 is rendered; rollout has not decided on it yet.",
    ),
    (
        replace(THERE, digest=OLD, verdict="held", reasons=({"code": "KNR3101", "message": "14 deletions"},)),
        False,
        "abc1234 of web is held by the guard: 14 deletions.",
    ),
    (
        replace(THERE, digest=OLD, silent=True, heard_at_ms=280_000),
        False,
        "prod-7 has not been heard for 12 min; it gets abc1234 when its agent is back.",
    ),
    (
        replace(THERE, digest=OLD, silent=True, heard_at_ms=None),
        False,
        "prod-7 has never reported: no agent of that name has connected.",
    ),
    (
        replace(THERE, digest=OLD, generation_seen=11),
        False,
        "abc1234 of web was assigned to prod-7 2 min ago (generation 12); its agent has not seen it yet.",
    ),
    (
        replace(THERE, digest=OLD, failures=FAILED),
        False,
        "prod-7 could not take abc1234 of web: replicas must be a number.",
    ),
    (
        replace(THERE, digest=OLD, assigned=OLD),
        False,
        "prod-7 was assigned another version of web than abc1234 names.",
    ),
]


@pytest.mark.parametrize(("question", "there", "sentence"), SENTENCES, ids=[s[2] for s in SENTENCES])
def test_why_is_this_cluster_not_on_this_commit(question: Question, there: bool, sentence: str) -> None:
    told = explain(question)
    assert (told.there, told.sentence) == (there, sentence)


@given(
    st.builds(
        Question,
        cluster=st.just("c"), app=st.just("a"), now_ms=st.just(10**12), silent=st.booleans(),
        heard_at_ms=st.none() | st.integers(0, 10**12), commit=st.sampled_from(["", "abc1234"]), rendered=st.booleans(),
        decided=st.booleans(), outcome=st.sampled_from(["", "revision", "unchanged", "failed", "gone"]),
        revision_known=st.booleans(), wanted=st.sampled_from([None, NEW]), digest=st.sampled_from([None, NEW, OLD]),
        verdict=st.sampled_from(["", "assigned", "held", "refused"]), standing=st.none() | st.sampled_from(Standing),
        assigned=st.sampled_from([None, NEW, OLD]), assigned_generation=st.none() | st.integers(0, 5),
    )
)  # fmt: skip
def test_every_question_has_one_sentence(question: Question) -> None:
    told = explain(question)
    assert told.sentence.endswith(".")
    assert told.there <= (question.digest == question.wanted)


def test_a_held_revision_says_what_where_and_what_to_do() -> None:
    loss = {
        "clusters": ["dev-1", "prod-1"], "objects": ["/Service/shop/a", "apps/Deployment/shop/b"], "object_count": 14,
        "objects_before": 15, "app_removed": False,
    }  # fmt: skip
    words = held_words("shop", "0123456789abcdef", [loss], "fedcba9876543210", "fleet", 2)
    assert words.headline == "shop would lose 14 of 15 objects in 2 clusters"
    assert (words.objects, words.clusters) == (28, 2)
    assert words.kinds == (("Deployment", 2), ("Service", 2))
    assert words.approve == "knarr approve 0123456789ab"
    assert words.revert.startswith("git revert fedcba987654")


def test_a_removal_is_said_as_one() -> None:
    loss = {"clusters": ["a", "b"], "objects": [], "object_count": 0, "objects_before": 9, "app_removed": True}
    words = held_words("shop", "01234567", [loss], "", "", 2)
    assert words.headline == "shop would be removed from 2 clusters, with everything in it"
    assert words.removals == 2


ALL = Progress(
    observed_at_ms=1000, stored_at_ms=1010, render_started_at_ms=1012, rendered_at_ms=1040, decided_at_ms=1050,
    first_reached_at_ms=1100, last_reached_at_ms=1200, last_healthy_at_ms=1500, total=4, reached=4, healthy=4,
)  # fmt: skip


def test_the_stages_of_a_commit_follow_each_other() -> None:
    found = stages(ALL)
    assert [s.name for s in found] == ["fetch", "snapshot", "render", "decide", "deliver", "apply", "healthy"]
    assert [s.seconds for s in found] == [0.01, 0.002, 0.028, 0.01, 0.05, 0.1, 0.3]
    assert all(a.ended_at_ms == b.started_at_ms for a, b in pairwise(found))


@pytest.mark.parametrize(
    ("progress", "newest", "expected"),
    [
        (ALL, True, CommitState.HEALTHY),
        (replace(ALL, held=1), True, CommitState.HELD),
        (replace(ALL, healthy=3), True, CommitState.DELIVERING),
        (replace(ALL, healthy=3, superseded=1), False, CommitState.SUPERSEDED),
        (replace(ALL, total=0, reached=0, healthy=0), True, CommitState.UNCHANGED),
        (replace(ALL, decided_at_ms=None), True, CommitState.DECIDING),
        (replace(ALL, decided_at_ms=None), False, CommitState.SUPERSEDED),
        (replace(ALL, decided_at_ms=None, rendered_at_ms=None), True, CommitState.RENDERING),
        (replace(ALL, decided_at_ms=None, rendered_at_ms=None, stored_at_ms=None), True, CommitState.FETCHING),
        (replace(ALL, failed=1), True, CommitState.FAILED),
        (replace(ALL, total=0, reached=0, healthy=0, dropped=1), False, CommitState.DROPPED),
    ],
)
def test_a_commit_in_one_word(progress: Progress, newest: bool, expected: CommitState) -> None:
    assert commit_state(progress, newest) is expected


MOMENT = st.none() | st.integers(0, 5000)


@given(
    st.builds(
        Progress,
        observed_at_ms=MOMENT,
        stored_at_ms=MOMENT,
        render_started_at_ms=MOMENT,
        rendered_at_ms=MOMENT,
        decided_at_ms=MOMENT,
        first_reached_at_ms=MOMENT,
        last_reached_at_ms=MOMENT,
        last_healthy_at_ms=MOMENT,
        total=st.integers(0, 3),
        reached=st.integers(0, 3),
        healthy=st.integers(0, 3),
    )
)
def test_stages_never_go_back_in_time_whatever_is_missing(progress: Progress) -> None:
    last = 0
    for stage in stages(progress):
        for moment in (stage.started_at_ms, stage.ended_at_ms):
            if moment is not None:
                assert moment >= last
                last = moment


GROUPS = st.lists(
    st.builds(
        Group,
        name=st.sampled_from(["dev", "prod", "staging", "", "lab"]),
        standing=st.sampled_from(Standing),
        count=st.integers(1, 9),
    )
)


@given(GROUPS)
def test_nothing_is_counted_twice_or_lost(groups: list[Group]) -> None:
    tallies = tally(groups)
    expected = sum(g.count for g in groups if g.standing is not Standing.REMOVED)
    assert sum(t.total for t in tallies) == expected == total(tallies, "all").total
    assert all(sum(t.words().values()) == t.total for t in tallies)


def test_stages_stand_in_the_order_in_which_changes_travel() -> None:
    groups = [Group(name=n, standing=Standing.HEALTHY, count=1) for n in ("", "prod", "lab", "staging", "dev")]
    assert [t.name for t in in_stage_order(tally(groups))] == ["dev", "staging", "prod", "lab", ""]


def test_silence_is_missed_reports_by_the_hubs_clock() -> None:
    patience = Patience(report_interval_seconds=60, missed_reports=3)
    assert not patience.is_silent(820_000, 1_000_000)
    assert patience.is_silent(813_000, 1_000_000)
    assert patience.is_silent(None, 1_000_000)


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(400, "0 s"), (59_999, "59 s"), (200_000, "3 min 20 s"), (720_000, "12 min"), (7_500_000, "2 h 5 min"),
     (200_000_000, "2 days")],
)  # fmt: skip
def test_ages_are_said_in_two_units_at_most(milliseconds: int, said: str) -> None:
    assert age(milliseconds) == said


@given(
    st.lists(
        st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    )
)
def test_page_tokens_read_back(key: list[int | str]) -> None:
    token = make_token(key, {"q": "x", "limit": "5"})
    assert list(read_token(token, {"q": "x", "limit": "9", "continue": token}, tuple(type(k) for k in key))) == key


@pytest.mark.parametrize(
    "token", ["", "x", "W10", "bnVsbA", "eyJhIjoxfQ", make_token(["a"], {"q": "other"}), make_token([1], {})]
)
def test_damaged_and_foreign_page_tokens_are_refused(token: str) -> None:
    with pytest.raises(Rejected, match="KNR5022"):
        read_token(token, {}, (str,))


@given(st.text(alphabet=st.characters(max_codepoint=127), max_size=60), st.integers(min_value=2, max_value=20))
def test_plain_words_are_cleaned_as_any_other(text: str, limit: int) -> None:
    """The short way for ASCII gives what the long way gives: a letter beyond ASCII forces that one."""
    marked = clean("é" + text, 200)[1:]
    assert clean(text, 200) == marked.strip()
    assert len(clean(text, limit)) <= limit
