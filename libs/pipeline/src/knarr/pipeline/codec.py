"""Frozen values to protobuf bytes and back.

The only module that touches the generated wire code. Fields are matched by name; proto/generate.py makes both sides
from the same .proto. Unknown fields and enum values of a newer writer are ignored (wire formats only grow).
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from knarr.pipeline.elements import count_elements
from knarr.pipeline.errors import bug, rejected

T = TypeVar("T")
_MODULES = ("failure", "snapshot", "revision", "assignment", "report", "decision")


def encode(value: Any) -> bytes:
    """The protobuf bytes of a message value. Deterministic: equal values give equal bytes."""
    return _to_wire(value).SerializeToString(deterministic=True)


def decode(kind: type[T], data: bytes, *, most_elements: int | None = None) -> T:
    """The value of type `kind` in `data`, or KNR7001 when the bytes are not such a message.

    `most_elements`: of a foreign message; KNR7015 above it, before anything is built.
    """
    wanted: Any = kind
    if most_elements is not None:
        count_elements(_descriptor(wanted), data, most_elements)
    try:
        message = _wire_class(wanted).FromString(data)
    except DecodeError as error:
        raise rejected("KNR7001", f"{len(data)} bytes are not a {kind.__name__}") from error
    value: T = _from_wire(kind, message)
    return value


@cache
def _wire_class(kind: Any) -> type[Message]:
    module = importlib.import_module(f"knarr.pipeline.v1.{kind.__module__.rsplit('.', 1)[-1]}_pb2")
    found: type[Message] = getattr(module, kind.__name__)
    return found


@cache
def _descriptor(kind: Any) -> Descriptor:
    found: Any = _wire_class(kind).DESCRIPTOR
    descriptor: Descriptor = found
    return descriptor


@cache
def _value_class(name: str) -> type:
    for module in _MODULES:
        found = getattr(importlib.import_module(f"knarr.pipeline.{module}"), name, None)
        if found is not None and found.__module__.endswith(module):
            return found  # type: ignore[no-any-return]
    raise bug("KNR7000", f"no message value named {name}")


@cache
def _enum_tables(name: str) -> tuple[dict[Enum, int], dict[int, Enum]]:
    kind = _value_class(name)
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "_"
    wire = getattr(importlib.import_module(f"knarr.pipeline.v1.{kind.__module__.rsplit('.', 1)[-1]}_pb2"), name)
    forward = {member: wire.Value(prefix + member.name) for member in kind}  # type: ignore[attr-defined]
    return forward, {number: member for member, number in forward.items()}


_Writer = Callable[[Message, Any], None]
_Reader = Callable[[Message], Any]


@cache
def _plan(kind: Any) -> tuple[tuple[str, _Writer, _Reader], ...]:
    by_name = _wire_class(kind).DESCRIPTOR.fields_by_name
    return tuple((f.name, *_field_plan(by_name[f.name])) for f in fields(kind))


def _field_plan(field: Any) -> tuple[_Writer, _Reader]:
    name = field.name
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return (lambda m, v: getattr(m, name).update(v)), (lambda m: dict(getattr(m, name)))
    if field.message_type is not None:
        return _message_plan(field)
    if field.enum_type is not None:
        forward, backward = _enum_tables(field.enum_type.name)
        unspecified = backward[0]
        return (lambda m, v: setattr(m, name, forward[v])), (lambda m: backward.get(getattr(m, name), unspecified))
    if field.is_repeated:
        return (lambda m, v: getattr(m, name).extend(v)), (lambda m: tuple(getattr(m, name)))
    return (lambda m, v: setattr(m, name, v)), (lambda m: getattr(m, name))


def _message_plan(field: Any) -> tuple[_Writer, _Reader]:
    name = field.name
    kind = _value_class(field.message_type.name)
    if field.is_repeated:
        return (
            lambda m, v: getattr(m, name).extend([_to_wire(item) for item in v]),
            lambda m: tuple(_from_wire(kind, item) for item in getattr(m, name)),
        )
    return (
        lambda m, v: getattr(m, name).CopyFrom(_to_wire(v)) if v is not None else None,
        lambda m: _from_wire(kind, getattr(m, name)) if m.HasField(name) else None,
    )


def _to_wire(value: Any) -> Message:
    kind: Any = type(value)
    message = _wire_class(kind)()
    for name, write, _ in _plan(kind):
        write(message, getattr(value, name))
    return message


def _from_wire(kind: Any, message: Message) -> Any:
    return kind(**{name: read(message) for name, _, read in _plan(kind)})
