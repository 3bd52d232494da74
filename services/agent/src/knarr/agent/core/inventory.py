"""What an app put into the cluster: the list that alone entitles to delete (I1).

An entry is written before its object is applied (without UID) and again after, so that a kill in between loses nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from knarr.agent.core.objects import Ref, Seen
from knarr.bundle.canonical import canonical_json
from knarr.pipeline.digest import sha256
from knarr.pipeline.names import ObjectId, split_object_id

_CONTENT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One object. `uid` and `mark` are empty until it was applied; `content` is the digest of what was applied last."""

    api_version: str
    wave: int
    content: bytes
    uid: str = ""
    mark: bytes = b""


Inventory = Mapping[ObjectId, Entry]


def content_of(manifest: Mapping[str, Any]) -> bytes:
    """Digest of a manifest, shortened: it is compared with one earlier digest only."""
    return sha256(canonical_json(manifest))[:_CONTENT_BYTES]


def ref_to(identity: ObjectId, entry: Entry) -> Ref:
    """The object of an entry, as the API wants it."""
    _, kind, namespace, name = split_object_id(identity)
    return Ref(api_version=entry.api_version, kind=kind, namespace=namespace, name=name)


def is_settled(entry: Entry, content: bytes, seen: Seen | None) -> bool:
    """Whether the object is there exactly as it was applied, and that is what is wanted."""
    return (
        seen is not None
        and entry.content == content
        and not seen.deleting
        and entry.uid == seen.uid
        and entry.mark == seen.mark
    )


def entries_to_json(entries: Inventory) -> list[list[str | int]]:
    """For the store."""
    return [
        [identity, e.api_version, e.wave, e.content.hex(), e.uid, e.mark.hex()]
        for identity, e in sorted(entries.items())
    ]


def entries_from_json(rows: list[list[Any]]) -> dict[ObjectId, Entry]:
    """From the store."""
    return {
        ObjectId(sys.intern(identity)): Entry(
            sys.intern(version), wave, bytes.fromhex(content), uid, bytes.fromhex(mark)
        )
        for identity, version, wave, content, uid, mark in rows
    }
