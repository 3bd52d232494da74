"""What the agent keeps of an app is read again, also what the agent before this one wrote."""

from __future__ import annotations

import orjson

from knarr.agent.core.inventory import Entry
from knarr.agent.records import Record, compressed, decompressed, record_from_bytes, record_to_bytes
from knarr.bundle.bounds import Bounds
from knarr.bundle.header import Header
from knarr.pipeline.names import AppName, ObjectId

A, B = ObjectId("/ConfigMap/shop/a"), ObjectId("/ConfigMap/shop/b")


def test_what_left_the_app_is_kept_with_it() -> None:
    record = Record(
        app=AppName("shop"),
        digest=b"d" * 32,
        assigned=b"e" * 32,
        header=Header(app="shop", bounds=Bounds(source="team", namespaces=("shop",), adopt_namespaces=True)),
        entries={A: Entry("v1", 0, b"c", "uid", b"mark")},
        left={B: 1_700_000_000_000},
        recreated={A: 1_700_000_000_001},
        renamed=frozenset({A}),
    )
    assert record_from_bytes(record_to_bytes(record)) == record


def test_a_record_of_the_agent_before_is_read() -> None:
    record = Record(app=AppName("shop"), digest=b"d" * 32, assigned=b"d" * 32, entries={A: Entry("v1", 0, b"c")})
    written = orjson.loads(decompressed(record_to_bytes(record)))
    before = {"assigned", "left", "recreated", "renamed"}
    assert not before & written.keys(), "what is not there yet is not written: an older agent reads it too"
    del written["hooks"]
    assert record_from_bytes(compressed(orjson.dumps(written))) == record
