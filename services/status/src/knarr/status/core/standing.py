"""How an app stands in a cluster, in one word.

The words are those of the design: waiting, progressing, healthy, held, drifted, degraded, failed, unknown. They join
what was assigned with what was reported: an app that reports healthy with another digest than the assigned one is
waiting, not healthy. `status.standing` in the first migration is the same table in SQL, so that the database can
count and filter by it; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from knarr.pipeline.report import AppState


class Standing(IntEnum):
    """Ordered from good to bad: the worst app is how a cluster stands."""

    REMOVED = 0
    HEALTHY = 1
    WAITING = 2
    PROGRESSING = 3
    HELD = 4
    DRIFTED = 5
    UNKNOWN = 6
    DEGRADED = 7
    FAILED = 8

    @property
    def word(self) -> str:
        """As the API, the page and the logs say it."""
        return self.name.lower()

    @property
    def letter(self) -> str:
        """One character for the columnar map."""
        return "rhwpldugf"[self.value]


COUNTED = tuple(s for s in Standing if s is not Standing.REMOVED)
_OF_STATE = {
    AppState.WAITING: Standing.WAITING,
    AppState.PROGRESSING: Standing.PROGRESSING,
    AppState.HEALTHY: Standing.HEALTHY,
    AppState.DEGRADED: Standing.DEGRADED,
    AppState.FAILED: Standing.FAILED,
    AppState.HELD: Standing.HELD,
    AppState.DRIFTED: Standing.DRIFTED,
    AppState.REMOVED: Standing.REMOVED,
    AppState.UNSPECIFIED: Standing.UNKNOWN,
}
# What the agent says of these is worth more than that the digest is not there yet.
_SPEAKS_FOR_ITSELF = frozenset({Standing.FAILED, Standing.HELD})


def standing(state: AppState | None, digest: bytes | None, assigned: bytes | None) -> Standing:
    """The word for one app in one cluster that can be heard.

    `state` and `digest` are None when it never reported the app; `assigned` is None when nothing is assigned (never,
    or a removal).
    """
    if state is None:
        return Standing.WAITING if assigned is not None else Standing.REMOVED
    word = _OF_STATE[state]
    if assigned is None or digest == assigned:
        return word
    if word in _SPEAKS_FOR_ITSELF:
        return word
    return Standing.WAITING


def worst(standings: Iterable[Standing]) -> Standing:
    """How a cluster stands whose apps stand so; a cluster without apps is healthy."""
    return max((s for s in standings if s is not Standing.REMOVED), default=Standing.HEALTHY)


def standing_of_word(word: str) -> Standing:
    """The standing called `word`. KeyError when there is none."""
    return Standing[word.upper()]
