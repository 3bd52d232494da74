"""Numbered errors. Each says what to do: try again, reject the input, or mend the program.

`rejected`, `retryable` and `bug` make an exception with a number of the catalogue; `failure_of` turns it into the
value that messages, reports and pages carry. The catalogue is data: one module per range beside this file.
"""

from __future__ import annotations

from knarr.pipeline.errors.catalogue import CATALOGUE, Entry, ErrorKind, entry
from knarr.pipeline.errors.exceptions import Bug, KnarrError, Rejected, Retryable, bug, failure_of, rejected, retryable

__all__ = [
    "CATALOGUE",
    "Bug",
    "Entry",
    "ErrorKind",
    "KnarrError",
    "Rejected",
    "Retryable",
    "bug",
    "entry",
    "failure_of",
    "rejected",
    "retryable",
]
