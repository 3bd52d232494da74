"""What the catalogue knows of one numbered error."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ErrorKind(Enum):
    """What the program does with it: nak and try again, refuse the input, or stop and be mended."""

    RETRYABLE = "retryable"
    REJECTED = "rejected"
    BUG = "bug"


@dataclass(frozen=True, slots=True)
class Entry:
    """One error: `code` KNRnnnn, a title, the usual cause, and the next step for a person."""

    code: str
    title: str
    cause: str
    next_step: str
    kind: ErrorKind = ErrorKind.REJECTED
