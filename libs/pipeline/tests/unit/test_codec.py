"""Every message value survives the wire, and nothing that is not a message is read as one."""

from __future__ import annotations

import importlib
from dataclasses import is_dataclass
from enum import Enum
from types import ModuleType
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
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
def test_every_field_survives(kind: Any) -> None:
    """Each field alone set to something else than its default, nested messages, lists and maps among them."""
    for field in _descriptor(kind).fields:
        value = _filled(field)
        made = kind(**{field.name: value})
        assert made != kind(), field.name
        assert decode(kind, encode(made)) == made, field.name


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_survives(kind: Any, data: st.DataObject) -> None:
    made = data.draw(_values(kind.__name__))
    wire = encode(made)
    assert decode(kind, wire) == made
    assert decode(kind, wire, most_elements=len(wire) + 1) == made
    assert encode(decode(kind, wire)) == wire


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


def _descriptor(kind: type) -> Descriptor:
    module = importlib.import_module(f"knarr.pipeline.v1.{kind.__module__.rsplit('.', 1)[-1]}_pb2")
    found: Descriptor = getattr(module, kind.__name__).DESCRIPTOR
    return found


KINDS = {kind.__name__: kind for kind in MESSAGES}
ENUMS: dict[str, type[Enum]] = {
    name: value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, Enum) and value.__module__ == module.__name__
}
_I32 = (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_SINT32, FieldDescriptor.TYPE_SFIXED32)
_U32 = (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_FIXED32)
_U64 = (FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_FIXED64)


def _values(name: str) -> st.SearchStrategy[Any]:
    return st.builds(KINDS[name], **{f.name: _field_values(f) for f in _descriptor(KINDS[name]).fields})


def _field_values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """All that a field may hold, from its descriptor."""
    if field.message_type is not None and _is_map(field):
        key, value = field.message_type.fields
        return st.dictionaries(_one(key), _one(value), max_size=3)
    if field.is_repeated:
        return st.lists(_one(field), max_size=2).map(tuple)
    return st.none() | _one(field) if field.message_type is not None else _one(field)


def _one(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if (nested := field.message_type) is not None:
        return st.deferred(lambda: _values(nested.name))
    if field.enum_type is not None:
        return st.sampled_from(list(ENUMS[field.enum_type.name]))
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return st.text(max_size=8)
        case FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=8)
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.TYPE_DOUBLE:
            return st.floats(allow_nan=False)
        case FieldDescriptor.TYPE_FLOAT:
            return st.floats(allow_nan=False, width=32)
    bits = 32 if field.type in (*_I32, *_U32) else 64
    signed = field.type not in (*_U32, *_U64)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _filled(field: FieldDescriptor) -> object:
    """A value other than the default, with every field of what is nested filled likewise."""
    if field.message_type is not None and _is_map(field):
        key, value = field.message_type.fields
        return {_sample(key): _sample(value)}
    return (_sample(field), _sample(field)) if field.is_repeated else _sample(field)


def _sample(field: FieldDescriptor) -> Any:
    if field.message_type is not None:
        kind = KINDS[field.message_type.name]
        return kind(**{f.name: _filled(f) for f in field.message_type.fields})
    if field.enum_type is not None:
        return list(ENUMS[field.enum_type.name])[-1]
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return "tëxt"
        case FieldDescriptor.TYPE_BYTES:
            return b"\x00\xff"
        case FieldDescriptor.TYPE_BOOL:
            return True
        case FieldDescriptor.TYPE_DOUBLE | FieldDescriptor.TYPE_FLOAT:
            return 1.5
    return 7
