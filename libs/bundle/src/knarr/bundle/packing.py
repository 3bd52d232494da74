"""A bundle's plain bytes: the header and then the objects, one canonical JSON document a line.

The digest of these bytes is the bundle's name. Equal content gives equal bytes whatever order the renderer found the
objects in.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from knarr.bundle.canonical import Object, canonical_json, id_of
from knarr.bundle.header import Header, header_from_json, header_to_json
from knarr.pipeline.digest import sha256
from knarr.pipeline.errors import rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A header and the complete list of objects, in the order of their ids."""

    header: Header
    objects: tuple[Object, ...]

    @property
    def digest(self) -> bytes:
        """sha256 of the packed bytes."""
        return sha256(pack(self))


def make_bundle(header: Header, objects: Iterable[Mapping[str, Any]]) -> Bundle:
    """Sorts the objects by id. KNR7008 when two share an id."""
    ordered = sorted((dict(o) for o in objects), key=id_of)
    for before, after in itertools.pairwise(ordered):
        if id_of(before) == id_of(after):
            raise rejected("KNR7008", "two objects of the bundle have one id", object_id=id_of(after))
    return Bundle(header=header, objects=tuple(ordered))


def pack(bundle: Bundle) -> bytes:
    """The bytes whose sha256 names the bundle."""
    lines = [canonical_json(header_to_json(bundle.header)), *(canonical_json(o) for o in bundle.objects)]
    return b"\n".join(lines) + b"\n"


def unpack(data: bytes) -> Bundle:
    """The bundle in `data`. KNR7008 when it is not one. The caller has checked the digest."""
    lines = data.split(b"\n")
    if lines[-1] != b"":
        raise rejected("KNR7008", "the bundle is cut short")
    try:
        documents = [orjson.loads(line) for line in lines[:-1]]
    except orjson.JSONDecodeError as error:
        raise rejected("KNR7008", f"a line of the bundle is not JSON: {error}") from error
    if not documents or not all(isinstance(d, dict) for d in documents):
        raise rejected("KNR7008", "the bundle has a line that is no object")
    return Bundle(header=header_from_json(documents[0]), objects=tuple(documents[1:]))
