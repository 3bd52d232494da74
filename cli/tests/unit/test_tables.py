"""Lists on a terminal: aligned, readable, and never driven by what foreign text says."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from knarr.cli.tables import Column, clean, counts, show, span, standing

_COLUMNS: list[Column] = [("NAME", lambda r: r["name"]), ("STANDING", lambda r: standing(r["standing"]))]
_ROWS = [{"name": "a", "standing": "healthy"}, {"name": "longer", "standing": "failed"}]


def test_columns_are_aligned() -> None:
    lines = show(_ROWS, _COLUMNS, "table").splitlines()
    at = lines[0].index("STANDING")
    assert [line[:at].rstrip() for line in lines] == ["NAME", "a", "longer"]
    assert "✔ healthy" in lines[1]
    assert "✖ failed" in lines[2]


def test_an_empty_list_keeps_its_head() -> None:
    assert show([], _COLUMNS, "table") == "NAME  STANDING"


def test_programs_get_the_rows_themselves() -> None:
    assert json.loads(show(_ROWS, [], "json")) == _ROWS
    assert yaml.safe_load(show(_ROWS, [], "yaml")) == _ROWS


@given(st.text())
def test_foreign_text_cannot_drive_the_terminal(text: str) -> None:
    shown = show([{"name": text, "standing": "x"}], _COLUMNS, "table")
    assert len(shown.split("\n")) == 2
    assert clean(text).isprintable()
    assert len(clean(text)) == len(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (0, "0.0s"), (9.94, "9.9s"), (10, "10s"), (119, "119s"), (120, "2m"), (7199, "120m"), (7200, "2h")],
)
def test_spans_are_short(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_counts_leave_out_nothing_that_is_there() -> None:
    assert counts({"healthy": 3, "failed": 0, "held": 1}) == "3 healthy, 1 held"
    assert counts({}) == "-"
