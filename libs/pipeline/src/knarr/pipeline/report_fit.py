"""A report cut so that the hub takes it: what an agent found may be larger than what it may say (report_bounds.py).

Called by the agent just before it sends. First long texts and inner lists are shortened, then lists; the state, the
digest and the first failures always remain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from knarr.pipeline.codec import decode, encode
from knarr.pipeline.errors import Rejected
from knarr.pipeline.report import AppReport, ClusterReport, PlannedStep, PlanReport, StepAction
from knarr.pipeline.report_bounds import CONTROL, CONTROL_IN_PROSE, ELEMENTS, MOST_MS, MOST_NUMBER, PLAIN_BYTES, WORDS

R = TypeVar("R", bound=AppReport | ClusterReport | PlanReport)
# Room for what the broker adds, and for zstd where it finds nothing to compress.
SENT_BYTES = 120_000
_CAPABILITIES, _CAPABILITIES_BYTES = 4_000, 100_000
_NEWEST_LAST = frozenset({"transitions", "drift"})


class _Room(NamedTuple):
    """`text`: characters of a text; `inner`: entries of a list in a list; `outer`: of a list."""

    text: int
    inner: int
    outer: int


_ROOMS = (
    _Room(2_000, 20, 501),
    _Room(500, 10, 501),
    _Room(200, 5, 501),
    _Room(120, 2, 250),
    _Room(80, 0, 100),
    _Room(40, 0, 20),
    _Room(20, 0, 5),
)


def fitted(report: R) -> R:
    """The report itself when it fits; else as much of it as does."""
    known = _with_known_capabilities(report)
    cut: Any = known
    for room in _ROOMS:
        cut = _cut(known, "", room, depth=0)
        if isinstance(cut, PlanReport) and isinstance(known, PlanReport):
            cut = _with_left_out(known, cut)
        if _goes(cut):
            break
    fits: R = cut
    return fits


def _goes(report: AppReport | ClusterReport | PlanReport) -> bool:
    wire = encode(report)
    if len(wire) > min(PLAIN_BYTES, SENT_BYTES):
        return False
    try:
        decode(type(report), wire, most_elements=ELEMENTS)
    except Rejected:
        return False
    return True


def _with_known_capabilities(report: Any) -> Any:
    """Part of them would read as if the rest were not served: too many are told as not known."""
    if not isinstance(report, ClusterReport):
        return report
    size = sum(len(c) for c in report.capabilities)
    if len(report.capabilities) <= _CAPABILITIES and size <= _CAPABILITIES_BYTES:
        return report
    return replace(report, capabilities=(), capabilities_known=False)


def _with_left_out(whole: PlanReport, cut: PlanReport) -> PlanReport:
    missing = len(whole.steps) - len(cut.steps)
    if not missing or not cut.steps:
        return cut
    told = PlannedStep(action=StepAction.SKIP, reason=f"{missing + 1} more steps are not listed")
    return replace(cut, steps=(*cut.steps[:-1], told))


def _cut(value: Any, name: str, room: _Room, depth: int) -> Any:
    if isinstance(value, (bool, Enum, bytes)) or value is None:
        return value
    if isinstance(value, int):
        return max(0, min(value, MOST_MS if name.endswith("_ms") else MOST_NUMBER))
    if isinstance(value, str):
        return _shortened(value, name, room)
    if isinstance(value, Mapping):
        return {_shortened(k, name, room): _shortened(v, name, room) for k, v in sorted(value.items())[:64]}
    if isinstance(value, tuple):
        return _shorter_list(value, name, room, depth)
    if is_dataclass(value) and not isinstance(value, type):
        after = {f.name: _cut(getattr(value, f.name), f.name, room, depth + 1) for f in fields(value)}
        return value if all(getattr(value, k) == v for k, v in after.items()) else type(value)(**after)
    return value


def _shorter_list(value: tuple[Any, ...], name: str, room: _Room, depth: int) -> tuple[Any, ...]:
    if name != "capabilities":
        most = room.outer if depth <= 1 else room.inner
        most = min(most, 50) if name not in ("steps", "features", "held_digests") else most
        value = (value[-most:] if most else ()) if name in _NEWEST_LAST else value[:most]
    return tuple(_cut(item, name, room, depth) for item in value)


def _shortened(text: str, name: str, room: _Room) -> str:
    most = WORDS.get(name, room.text)
    if len(text) > most:
        text = text[: most - 1] + "…"
    return (CONTROL if name in WORDS else CONTROL_IN_PROSE).sub(" ", text)
