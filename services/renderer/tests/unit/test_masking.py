"""No scalar of what a tool was given is in what it is quoted with; what is no secret stays legible."""

from __future__ import annotations

import base64
import json
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from knarr.renderer.core.masking import MASK, Mask

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Zs", "Cc")), min_size=8)
WORDS = st.lists(st.text(string.ascii_letters, min_size=1, max_size=3), max_size=5)


def worth_hiding(text: str) -> bool:
    return len(text.strip()) >= 8 and text.lower() not in ("true", "false")


@given(secret=SECRETS, before=WORDS, after=WORDS)
def test_a_canary_is_found_however_it_is_quoted(secret: str, before: list[str], after: list[str]) -> None:
    assume(worth_hiding(secret))
    mask = Mask([{"deep": [{"password": secret}], "other": 1}])
    encoded = base64.b64encode(secret.encode()).decode()
    for form in (secret, json.dumps(secret), repr(secret) if secret.isascii() else secret, encoded):
        shown = mask(f"{' '.join(before)} at '/db': {form} {' '.join(after)}")
        assert secret not in shown
        assert encoded.rstrip("=") not in shown
        assert MASK in shown


@given(secret=st.text(string.ascii_letters + string.digits, min_size=30, max_size=80), start=st.integers(0, 20))
def test_a_piece_of_a_long_one_is_hidden_as_well(secret: str, start: int) -> None:
    piece = secret[start : start + 23]
    assume(len(piece) == 23)
    assert piece not in Mask([secret])(f"given: {piece}")


@given(text=st.text(max_size=200), value=st.text(max_size=30))
def test_whatever_is_given_nothing_else_is_lost(text: str, value: str) -> None:
    shown = Mask([value])(text)
    if value.strip() not in text and len(value) < 8:
        assert MASK in shown or shown == text or MASK in text
    assert Mask([])(text) == text


@pytest.mark.parametrize(
    ("values", "text", "shown"),
    [
        # What would turn every message to mush is not hidden.
        ({"replicas": 1, "on": True, "port": 8080, "none": None}, "at line 1: 8080 is true", "at line 1: 8080 is true"),
        ({"tier": "db"}, "no db for db-1", "no db for db-1"),
        # Short ones only as a word by itself.
        ({"pin": "s3cr"}, "s3cr is not s3cret", "*** is not s3cret"),
        ({"word": "prod"}, "(web/a.yaml:3): production is not prod", "(web/a.yaml:3): production is not ***"),
        # Numbers from six digits on.
        ({"code": 123456, "port": 99999}, "123456 or 99999", "*** or 99999"),
        # Lines of a block, and what looks like a credential inside a longer one.
        ({"key": "-----BEGIN KEY-----\nAAAABBBBCCCC\n-----END KEY-----"}, "bad line AAAABBBBCCCC", "bad line ***"),
        ({"url": "postgres://me:pa55word@db/x"}, "login pa55word refused", "login *** refused"),
        ({"upper": "hunter2hunter"}, "HUNTER2HUNTER", "***"),
    ],
)  # fmt: skip
def test_the_rule(values: object, text: str, shown: str) -> None:
    assert Mask([values])(text) == shown


def test_of_values_too_large_to_be_looked_for_no_word_is_shown() -> None:
    assert "hunter2!" not in Mask([["x" * 900_000, "hunter2!"]])("hunter2!")
