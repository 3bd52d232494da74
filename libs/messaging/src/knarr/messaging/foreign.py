"""Messages of which somebody else than our own services is the author, opened in one way by every reader.

What one sender puts into them has bounds (I5): bytes before and after unfolding, elements, and for reports every number
and text (libs/pipeline, report_bounds.py). A message beyond them is refused with a number before anything is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from knarr.messaging.envelope import MAX_PLAIN_BYTES, kind_of, unfolded
from knarr.messaging.streams import COMMANDS, DEAD_LETTERS, REPORTS
from knarr.pipeline.codec import decode
from knarr.pipeline.report_bounds import ELEMENTS, PLAIN_BYTES, check_report

_MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """`check` is given the subject and the value. `letter_bytes`: how much of a refused message a dead letter keeps."""

    plain_bytes: int
    elements: int | None = None
    check: Callable[[str, Any], None] | None = None
    letter_bytes: int = 200_000


FOREIGN: Mapping[str, Bounds] = {
    REPORTS: Bounds(plain_bytes=PLAIN_BYTES, elements=ELEMENTS, check=check_report, letter_bytes=16_384),
    COMMANDS: Bounds(plain_bytes=_MB, elements=1_000),
    DEAD_LETTERS: Bounds(plain_bytes=_MB, elements=1_000),
}
OWN = Bounds(plain_bytes=MAX_PLAIN_BYTES)


def bounds_of(stream: str) -> Bounds:
    """The bounds of a stream's messages; our own services' are wide."""
    return FOREIGN.get(stream, OWN)


def sender_of(stream: str, subject: str) -> str:
    """The cluster whose credential sent a message, proven by the broker; empty for our own services."""
    return subject.split(".")[1] if stream == REPORTS and subject.count(".") else ""


def opened(
    stream: str, kinds: tuple[type, ...], subject: str, payload: bytes, headers: Mapping[str, str] | None
) -> tuple[Any, int]:
    """The value in a message of a stream, and its bytes unfolded.

    KNR7001 when it is not of one of `kinds`, KNR7005, KNR7014 and KNR7015 beyond the stream's bounds, KNR5002 when it
    speaks for somebody else.
    """
    bounds = bounds_of(stream)
    kind = kind_of(kinds, headers)
    plain = unfolded(payload, headers, most=bounds.plain_bytes)
    value: Any = decode(kind, plain, most_elements=bounds.elements)
    if bounds.check is not None:
        bounds.check(subject, value)
    return value, len(plain)
