"""How many elements a message on the wire holds, counted before a single value is built.

A sub-message costs its sender two bytes and its reader some hundred: what others than our own services wrote is walked
first, at the price of its bytes. Called by the codec; knows descriptors, builds nothing.
"""

from __future__ import annotations

from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from knarr.pipeline.errors import Rejected, rejected

_DEPTH = 32
_DELIMITED = 2
_WHOLE = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
# Field number → the plan of the message in it; None: numbers packed together. Other fields hold one element.
_Plan = dict[int, "_Plan | None"]


def count_elements(descriptor: Descriptor, data: bytes, most: int) -> int:
    """Fields, at every depth, of the message of that kind in `data`; packed numbers count by their bytes.

    KNR7015 as soon as there are more than `most`; KNR7001 when the bytes are no message.
    """
    count, place = 0, 0
    frames: list[tuple[_Plan, int]] = [(_plan(descriptor), len(data))]
    while frames:
        plan, end = frames[-1]
        if place >= end:
            frames.pop()
            continue
        tag, place = _varint(data, place, end)
        count += 1
        kind = tag & 7
        if kind == _DELIMITED:
            size, place = _varint(data, place, end)
            if size > end - place:
                raise _garbled(data)
            if (tag >> 3) not in plan:
                place += size
            elif (inner := plan[tag >> 3]) is None:
                count, place = count + size, place + size
            elif len(frames) < _DEPTH:
                frames.append((inner, place + size))
            else:
                raise _garbled(data)
        else:
            place = _after_scalar(data, place, end, kind)
        if count > most:
            raise rejected("KNR7015", f"the message has more than {most} elements")
    return count


def _after_scalar(data: bytes, place: int, end: int, kind: int) -> int:
    match kind:
        case 0:
            return _varint(data, place, end)[1]
        case 1:
            after = place + 8
        case 5:
            after = place + 4
        case _:  # groups, which no message of ours has, and what is no wire type at all
            raise _garbled(data)
    if after > end:
        raise _garbled(data)
    return after


def _varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise _garbled(data)


def _garbled(data: bytes) -> Rejected:
    return rejected("KNR7001", f"{len(data)} bytes are not a message")


@cache
def _plan(descriptor: Descriptor) -> _Plan:
    found: _Plan = {}
    for field in descriptor.fields:
        if field.message_type is not None:
            found[field.number] = _plan(field.message_type)
        elif field.is_repeated and field.type not in _WHOLE:
            found[field.number] = None
    return found
