"""What a report may hold at most: every number, text and list of it has a bound (I5).

One rule for every reader of REPORTS, called where messages are opened (libs/messaging, foreign.py); agents cut what
they send by report_fit.py, well inside of it. The bounds are wide: an honest report of any version passes, and what
does not pass is that cluster's own trouble. A field without a rule of its own falls under the general one, so that a
new field is bounded from the start. A state of a newer agent arrives as UNSPECIFIED (wire formats grow) and passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from knarr.pipeline.errors import Rejected, rejected
from knarr.pipeline.names import is_dns_label
from knarr.pipeline.report import AppReport, ClusterReport, PlanReport

# Of one report: bytes unfolded, and elements (a PlanReport of 500 steps has some 5,000, an AppReport some 1,000).
PLAIN_BYTES = 262_144
ELEMENTS = 8_192
MOST_NUMBER = 2**48
MOST_MS = 253_402_300_799_999  # the end of the year 9999
# NUL, escapes and what else is no text; prose may have lines.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
CONTROL_IN_PROSE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

Report = AppReport | ClusterReport | PlanReport
_PROSE = 16_384
_WORD = 512
_LIST = 1_000
# Texts that are words or names: no control character at all, at most so many characters.
WORDS: Mapping[str, int] = {
    "epoch": 128,
    "cluster_uid": 128,
    "agent_version": 128,
    "kubernetes_version": 128,
    "traceparent": 128,
    "request_id": 128,
    "code": 16,
    "status": 64,
    "object_id": 1_024,
    "manager": 1_024,
    "capabilities": 400,
    "features": 128,
    "labels": _WORD,
}
_LISTS: Mapping[str, int] = {"capabilities": 5_000, "labels": 64, "features": 256}
_BYTES: Mapping[str, tuple[int, ...]] = {"sealing_key_signature": (0, 64)}
_DIGEST = (0, 32)


def check_report(subject: str, report: Report) -> None:
    """KNR5002 when the report is not about the cluster and app of its subject, KNR7014 when it breaks a bound.

    The broker proves who may publish on the subject; the body proves nothing.
    """
    _check_claims(subject, report)
    _check_value(report, type(report).__name__)


def _check_claims(subject: str, report: Report) -> None:
    parts = subject.split(".")
    claimed = ["report", report.cluster]
    match report:
        case ClusterReport():
            claimed += ["cluster"]
        case PlanReport():
            claimed += ["plan"]
        case AppReport():
            claimed += ["app", report.app]
    app = "" if isinstance(report, ClusterReport) else report.app
    named = [report.cluster, *([app] if app or isinstance(report, AppReport) else [])]
    if parts != claimed or not all(is_dns_label(name) for name in named):
        raise rejected("KNR5002", f"a report on {subject[:160]!r} claims to be about {'.'.join(claimed)[:160]!r}")


def _check_value(value: Any, where: str) -> None:
    for field in fields(value):
        _check(getattr(value, field.name), field.name, f"{where}.{field.name}")


def _check(value: Any, name: str, where: str) -> None:
    if value is None or isinstance(value, (bool, Enum)):
        return
    if isinstance(value, int):
        _check_number(value, MOST_MS if name.endswith("_ms") else MOST_NUMBER, where)
    elif isinstance(value, str):
        _check_text(value, name, where)
    elif isinstance(value, bytes):
        if len(value) not in _BYTES.get(name, _DIGEST):
            raise _beyond(where, f"{len(value)} bytes")
    elif isinstance(value, (tuple, Mapping)):
        if len(value) > _LISTS.get(name, _LIST):
            raise _beyond(where, f"{len(value)} entries")
        for item in value:
            _check(item, name, where)
        for item in value.values() if isinstance(value, Mapping) else ():
            _check(item, name, where)
    elif is_dataclass(value):
        _check_value(value, where)
    else:
        raise _beyond(where, f"a {type(value).__name__}")


def _check_number(value: int, most: int, where: str) -> None:
    if not 0 <= value <= most:
        raise _beyond(where, f"the number {value}")


def _check_text(value: str, name: str, where: str) -> None:
    if len(value) > WORDS.get(name, _PROSE):
        raise _beyond(where, f"a text of {len(value)} characters")
    if (CONTROL if name in WORDS else CONTROL_IN_PROSE).search(value):
        raise _beyond(where, "a control character")


def _beyond(where: str, what: str) -> Rejected:
    return rejected("KNR7014", f"{where} has {what}, which is beyond its bounds")
