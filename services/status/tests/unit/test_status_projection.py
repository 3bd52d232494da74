"""Reports → rows: claims, cleaning, and that any order and repetition ends in the newest."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.pipeline.errors import Rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppReport, AppState, ClusterReport, Transition
from knarr.status.core.position import Position, newest_per_key
from knarr.status.core.projection import cluster_row, placement_row, transition_rows
from knarr.status.core.rows import PlacementRow
from knarr.status.core.text import clean, safe_url
from knarr.status.ports import Message
from knarr.status.record import report_rows

HERE = Position(stream_created=1, sequence=1)


def _message(cluster: str, app: str, created: int, sequence: int, state: AppState = AppState.HEALTHY) -> Message:
    report = AppReport(cluster=cluster, app=app, state=state, digest=bytes(32), message=f"{created}/{sequence}")
    return Message(
        subject=f"report.{cluster}.app.{app}",
        position=Position(stream_created=created, sequence=sequence),
        stored_at_ms=1000 * sequence,
        value=report,
    )


BATCHES = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]), st.integers(1, 3), st.integers(1, 30)),
    min_size=1,
    max_size=40,
)


def _apply(model: dict[tuple[str, str], PlacementRow], messages: list[Message]) -> None:
    """What the guarded upsert does."""
    for row in report_rows(messages, 0, 0).placements:
        held = model.get((row.cluster, row.app))
        if held is None or held.position < row.position:
            model[row.cluster, row.app] = row


@given(BATCHES, st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_batches_ends_in_the_newest(
    keys: list[tuple[str, str, int, int]], order: random.Random
) -> None:
    messages = [_message(*key) for key in dict.fromkeys(keys)]
    straight: dict[tuple[str, str], PlacementRow] = {}
    _apply(straight, messages)
    shuffled = messages * 2
    order.shuffle(shuffled)
    model: dict[tuple[str, str], PlacementRow] = {}
    while shuffled:
        size = order.randint(1, 7)
        _apply(model, shuffled[:size])
        shuffled = shuffled[size:]
    assert model == straight
    for (cluster, app), row in model.items():
        mine = [m.position for m in messages if m.value.cluster == cluster and m.value.app == app]
        assert row.position == max(mine)


def test_a_stream_made_anew_counts_from_one_and_still_wins() -> None:
    rows = report_rows([_message("a", "x", 1, 900), _message("a", "x", 2, 1)], 0, 0).placements
    assert [r.message for r in rows] == ["2/1"]


def test_rows_of_a_batch_are_unique_and_sorted() -> None:
    rows = report_rows([_message("b", "x", 1, 1), _message("a", "y", 1, 2), _message("a", "x", 1, 3)], 0, 0)
    assert [(r.cluster, r.app) for r in rows.placements] == [("a", "x"), ("a", "y"), ("b", "x")]
    assert rows.heard == {"a": 3000, "b": 1000}


@pytest.mark.parametrize(
    ("subject", "report"),
    [
        ("report.a.app.x", AppReport(cluster="b", app="x")),
        ("report.a.app.x", AppReport(cluster="a", app="y")),
        ("report.a.app.X", AppReport(cluster="a", app="X")),
        ("report.a.cluster", AppReport(cluster="a", app="cluster")),
    ],
)
def test_a_report_about_somebody_else_is_refused(subject: str, report: AppReport) -> None:
    with pytest.raises(Rejected, match="KNR5002"):
        placement_row(report, subject, HERE, 0)


def test_a_cluster_report_about_another_cluster_is_refused() -> None:
    with pytest.raises(Rejected, match="KNR5002"):
        cluster_row(ClusterReport(cluster="b"), "report.a.cluster", HERE, 0)


def test_reported_labels_cannot_pose_as_the_fleets() -> None:
    row = cluster_row(ClusterReport(cluster="a", labels={"env": "prod"}), "report.a.cluster", HERE, 0)
    assert json.loads(row.labels_json) == {"reported.knarr.dev/env": "prod"}


def test_hostile_text_and_numbers_are_made_fit_to_keep() -> None:
    failures = tuple(Failure(code="KNR4001", message="x\0\x1b[31m\u202e" + "y" * 9000) for _ in range(500))
    report = AppReport(
        cluster="a", app="x", message="\0a\nb\x7f", since_ms=-5, digest=b"short", failures=failures,
        transitions=tuple(Transition(at_ms=n) for n in range(500)),
    )  # fmt: skip
    row = placement_row(report, "report.a.app.x", HERE, 0)
    assert (row.message, row.since_ms, row.digest) == ("a b", 0, b"")
    kept = json.loads(row.failures_json)
    assert len(kept) == 50
    assert "\0" not in row.failures_json
    assert len(kept[0]["message"]) == 2000
    assert [t.at_ms for t in transition_rows(report)] == list(range(450, 500))


@given(st.text())
def test_clean_text_is_bounded_and_printable(text: str) -> None:
    found = clean(text, 50)
    assert len(found) <= 50
    assert "\0" not in found
    assert clean(found, 50) == found


@pytest.mark.parametrize(
    ("given_url", "shown"),
    [
        ("https://user:secret@git.example.org:8443/a.git?token=x#y", "https://git.example.org:8443/a.git"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("https://", ""),
        ("http://[", ""),
        ("ssh://git@git.example.org/a.git", "ssh://git.example.org/a.git"),
        ("/srv/git/a.git", ""),
    ],
)
def test_only_harmless_addresses_are_shown(given_url: str, shown: str) -> None:
    assert safe_url(given_url) == shown


@given(BATCHES)
def test_newest_per_key_is_sorted_and_unique(keys: list[tuple[str, str, int, int]]) -> None:
    rows = [placement_row(m.value, m.subject, m.position, 0) for m in (_message(*k) for k in keys)]
    found = newest_per_key(rows, lambda r: (r.cluster, r.app))
    names = [(r.cluster, r.app) for r in found]
    assert names == sorted(set(names))
