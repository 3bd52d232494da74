"""The deletion budget (I2): one rule for rollout's guard and for the agent's own.

Counted per app and cluster over a window: what was lost in it, and is not back, counts with what is lost now, against
all that the app had in it. So many small deletions are one large one, and an object that moved away keeps its weight.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from knarr.pipeline.names import object_id, split_object_id

_Id = TypeVar("_Id", bound=str)
WINDOW_SECONDS = 86_400.0
_HASHED_KINDS = frozenset({("", "ConfigMap"), ("", "Secret")})
# kustomize writes ten characters of an alphabet without vowels and look-alikes behind the name.
_HASH_SUFFIX = re.compile(r"-[2456789bcdfghkmt]{10}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The limits. `share` is of the objects that the app had in the window; below `at_least` nothing is too much."""

    share: float = 0.2
    at_least: int = 3
    window_seconds: float = WINDOW_SECONDS
    hold_removal: bool = True
    hold_protected: bool = True


class Excess(Enum):
    """Why deletions may not go unasked."""

    REMOVED = "removed"
    EMPTIED = "emptied"
    MANY = "many"
    PROTECTED = "protected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One step of one app in one cluster.

    `before` and `after`: how many objects it has; `going`: how many the step deletes, `protected` of them of protected
    kinds; `gone`: how many went earlier in the window and are nowhere now; `moved`: how many left it for another app in
    the window, and are there still. `removed`: the app leaves the cluster.
    """

    before: int
    after: int
    going: int
    gone: int = 0
    moved: int = 0
    protected: int = 0
    removed: bool = False

    @property
    def had(self) -> int:
        """All that the app had in the window."""
        return self.before + self.gone + self.moved


def excesses(tally: Tally, budget: Budget) -> tuple[Excess, ...]:
    """Why the step must wait for an approval; empty when it may go."""
    found = []
    if tally.removed:
        if budget.hold_removal:
            found.append(Excess.REMOVED)
    elif tally.before and not tally.after:
        found.append(Excess.EMPTIED)
    elif tally.going and is_many(tally.going + tally.gone, tally.had, budget):
        found.append(Excess.MANY)
    if tally.protected and budget.hold_protected:
        found.append(Excess.PROTECTED)
    return tuple(found)


def is_many(lost: int, had: int, budget: Budget) -> bool:
    """Whether so many of so many objects are more than may go unasked."""
    return lost >= budget.at_least and lost > budget.share * had


def stable_id(identity: str) -> str:
    """The id without kustomize's hash suffix; empty where there is none."""
    group, kind, namespace, name = split_object_id(identity)
    bare = _HASH_SUFFIX.sub("", name)
    if (group, kind) not in _HASHED_KINDS or bare == name or not bare:
        return ""
    return object_id(group, kind, namespace, bare)


def lost(before: Iterable[str], after: Iterable[str], stable: Callable[[str], str] = stable_id) -> frozenset[str]:
    """Ids that are in `before` and not in `after`.

    A rename of only the hash suffix is a change: each new object excuses one that went under the same stable name.
    """
    old, new = frozenset(before), frozenset(after)
    gone = old - new
    if not gone:
        return gone
    excuses = Counter(name for identity in new - old if (name := stable(identity)))
    kept = set()
    for identity in sorted(gone):
        name = stable(identity)
        if name and excuses[name]:
            excuses[name] -= 1
            kept.add(identity)
    return gone - kept


def within(left: Mapping[_Id, int], now_ms: int, budget: Budget) -> dict[_Id, int]:
    """Of the ids that left (id → when, Unix milliseconds), those that did so within the window."""
    since = now_ms - int(budget.window_seconds * 1000)
    return {identity: at for identity, at in left.items() if at > since}
