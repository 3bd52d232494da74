"""Ranges as Chart.yaml writes them mean what Helm takes them for."""

from __future__ import annotations

import pytest

from knarr.pipeline.versions import range_of, satisfies, version_of


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("1.2.3", "1.2.3", True),
        ("v1.2.3", "^1", True),
        ("1.2.3", "v1.2.3", True),
        ("1.2.3", ">= 1.0, < 3", True),
        ("3.0.0", ">= 1.0, < 3", False),
        ("1.2.3", "  ~1.2 ", True),
        ("1.2.3", "1.x.x", True),
        ("1.2.3", "> 2 || < 1.5", True),
        ("1.2.3", "*", True),
        ("1.2.3", "", False),
        ("2.0.0-rc.1", "^1 || ^2", False),
        ("latest", "*", False),
        ("2.0.0-rc.1", ">=1.0.0-0", True),
        ("1.0.0-alpha", ">=1.0.0-beta", False),
        ("1.3.0", ">=v1.2", True),
        ("1.3.0", "^v1.2", True),
        ("1.2.4", ">=1.0, !=1.2.4", False),
        ("1.2.5", ">=1.0, !=1.2.4", True),
        ("1.2.5", "!=1.2.4", True),
        ("1.3.0", "~> 1.2", False),
        ("1.2.9", "~> 1.2", True),
        ("1.2.9", "=> 1.0", True),
        ("1.2.3\n", "*", False),
        ("1.2.3", "newest", False),
    ],
)
def test_a_version_lies_in_a_range(version: str, wanted: str, expected: bool) -> None:
    assert satisfies(version, wanted) is expected


@pytest.mark.parametrize("text", ["1 - ~0", "<1 - 2", "1 - =0", "!=", "^", "!=1.0.0 || 2"])
def test_a_text_that_breaks_the_parser_is_no_range(text: str) -> None:
    assert satisfies("1.2.3", text) is False


def test_endless_text_is_no_version_and_no_range() -> None:
    assert version_of("1." + "0" * 300) is None
    assert range_of(">=1.0.0 " * 100) is None
