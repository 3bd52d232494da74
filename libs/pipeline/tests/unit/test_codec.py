"""Every message value survives the wire, and nothing that is not a message is read as one."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knarr.pipeline import assignment, decision, failure, report, revision, snapshot
from knarr.pipeline.codec import decode, encode
from knarr.pipeline.errors import CATALOGUE, Rejected
from knarr.pipeline.names import dns_label, is_dns_label, object_id, split_object_id

MODULES: tuple[ModuleType, ...] = (assignment, decision, failure, report, revision, snapshot)
MESSAGES = [
    value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, type) and is_dataclass(value) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_default_message_is_empty_on_the_wire(kind: type) -> None:
    assert encode(kind()) == b""
    assert decode(kind, b"") == kind()


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_field_survives(kind: type) -> None:
    made = kind(**{f.name: _sample(f.default) for f in fields(kind) if f.default is not None and not _late(f.default)})
    assert decode(kind, encode(made)) == made


@given(st.binary(max_size=200))
def test_garbage_is_a_numbered_refusal_or_an_ignored_unknown_field(data: bytes) -> None:
    refused = ""
    try:
        decode(report.AppReport, data)
    except Rejected as error:
        refused = error.code
    assert refused in ("", "KNR7001")


@given(st.text(max_size=80))
def test_only_dns_labels_pass(text: str) -> None:
    if is_dns_label(text):
        assert dns_label(text, "cluster") == text
        assert not set(text) & set("*>. \t\n")
    else:
        with pytest.raises(Rejected, match="KNR7002"):
            dns_label(text, "cluster")


def test_an_object_id_comes_apart_again() -> None:
    assert split_object_id(object_id("apps", "Deployment", "shop", "web")) == ("apps", "Deployment", "shop", "web")
    assert split_object_id(object_id("", "Namespace", "", "shop")) == ("", "Namespace", "", "shop")


def test_every_error_says_what_to_do() -> None:
    for code, entry in CATALOGUE.items():
        assert code == entry.code
        assert code.startswith("KNR")
        assert len(code) == 7
        assert entry.title
        assert entry.cause
        assert entry.next_step


def _late(default: object) -> bool:
    return repr(default).startswith("<dataclasses._MISSING")


def _sample(default: object) -> object:
    match default:
        case bool():
            return True
        case int():
            return 7
        case float():
            return 1.5
        case str():
            return "text"
        case bytes():
            return b"\x00\xff"
    return list(type(default))[-1] if hasattr(default, "name") else default  # type: ignore[call-overload]
