"""What others wrote is opened within bounds, and refused with a number beyond them."""

from __future__ import annotations

from typing import Any

import pytest
import zstandard

from knarr.messaging.envelope import to_wire
from knarr.messaging.foreign import opened, sender_of
from knarr.messaging.streams import REPORTS, REVISIONS
from knarr.pipeline.codec import encode
from knarr.pipeline.errors import Rejected
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.pipeline.revision import CommitRendered

KINDS = (ClusterReport, AppReport)
PACKED = {"Knarr-Type": "AppReport", "Knarr-Encoding": "zstd"}
PLAIN = {"Knarr-Type": "AppReport"}
WEB = "report.c1.app.web"


def _zstd(plain: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(plain)


REFUSED: list[tuple[str, bytes, dict[str, str], str]] = [
    ("3.9 million empty parts in 746 bytes", _zstd(b"\x3a\x00" * 3_900_000), PACKED, "KNR7005"),
    ("as many parts as the bytes allow", _zstd(b"\x3a\x00" * 130_000), PACKED, "KNR7015"),
    ("300 KB in clear", encode(AppReport(cluster="c1", app="web", message="x" * 300_000)), PLAIN, "KNR7005"),
    ("random bytes", bytes(range(255)), PLAIN, "KNR7001"),
    ("another kind of message", encode(CommitRendered()), {"Knarr-Type": "CommitRendered"}, "KNR7001"),
    ("another app's report", encode(AppReport(cluster="c1", app="shop")), PLAIN, "KNR5002"),
    ("a negative size", encode(AppReport(cluster="c1", app="web", object_count=-1)), PLAIN, "KNR7014"),
]


@pytest.mark.parametrize(("what", "payload", "headers", "code"), REFUSED, ids=[r[0] for r in REFUSED])
def test_a_report_beyond_its_bounds_is_not_unfolded(
    what: str, payload: bytes, headers: dict[str, str], code: str
) -> None:
    with pytest.raises(Rejected) as refused:
        opened(REPORTS, KINDS, WEB, payload, headers)
    assert refused.value.code == code


def test_a_frame_that_asks_for_a_window_of_128_mb_gets_none() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=27)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    payload = packer.compress(encode(AppReport(cluster="c1", app="web"))) + packer.flush()
    with pytest.raises(Rejected, match="KNR7005"):
        opened(REPORTS, KINDS, WEB, payload, PACKED)


def test_an_honest_report_is_opened_and_so_is_a_large_message_of_our_own() -> None:
    report = AppReport(cluster="c1", app="web", message="waits " * 2_000)
    payload, headers = to_wire(report)
    assert opened(REPORTS, KINDS, WEB, payload, headers) == (report, len(encode(report)))
    large: Any = CommitRendered(guards_json=b"x" * 3_000_000)
    payload, headers = to_wire(large)
    assert opened(REVISIONS, (CommitRendered,), "rendered.fleet", payload, headers)[0] == large


def test_the_broker_says_who_sent_a_report() -> None:
    assert sender_of(REPORTS, WEB) == "c1"
    assert sender_of(REVISIONS, "revision.web") == ""
