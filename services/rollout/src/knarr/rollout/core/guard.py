"""The guard: the deletion budget over the fleet (I2), before anything is sent.

Counts what a step would delete, in each cluster against what that cluster was assigned in the window, and says why that
is too much. The rule itself is the agent's too (knarr.bundle.budget); the settings are `spec.guards` of fleet.yaml.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from knarr.bundle.budget import WINDOW_SECONDS, Budget, Excess, Tally, excesses
from knarr.pipeline.decision import HeldReason, Loss
from knarr.pipeline.names import object_words

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """Limits. Shares are of an app's objects in a cluster, or of an app's clusters; the window is in seconds."""

    max_lost_share: float = 0.2
    min_lost_objects: int = 3
    max_clusters_left_share: float = 0.2
    window_seconds: float = WINDOW_SECONDS
    hold_removal: bool = True
    hold_protected: bool = True

    @property
    def budget(self) -> Budget:
        """As the rule wants it."""
        return Budget(
            share=self.max_lost_share,
            at_least=self.min_lost_objects,
            window_seconds=self.window_seconds,
            hold_removal=self.hold_removal,
            hold_protected=self.hold_protected,
        )

    @staticmethod
    def of(document: bytes) -> GuardSettings:
        """From the canonical JSON of a message. Absent means default, and so does what is no such value."""
        found = json.loads(document) if document else {}
        named = {_camel(f.name): f.name for f in fields(GuardSettings)}
        default = GuardSettings()
        said = {named[k]: v for k, v in found.items() if k in named}
        return GuardSettings(**{name: _typed(v, getattr(default, name)) for name, v in said.items()})

    def document(self) -> bytes:
        """As `of` reads it."""
        return json.dumps({_camel(f.name): getattr(self, f.name) for f in fields(self)}, sort_keys=True).encode()


def stricter(one: GuardSettings, other: GuardSettings) -> GuardSettings:
    """In each limit the stricter of the two."""
    return GuardSettings(
        max_lost_share=min(one.max_lost_share, other.max_lost_share),
        min_lost_objects=min(one.min_lost_objects, other.min_lost_objects),
        max_clusters_left_share=min(one.max_clusters_left_share, other.max_clusters_left_share),
        window_seconds=max(one.window_seconds, other.window_seconds),
        hold_removal=one.hold_removal or other.hold_removal,
        hold_protected=one.hold_protected or other.hold_protected,
    )


def loosened(before: GuardSettings, after: GuardSettings) -> tuple[str, ...]:
    """The limits that are less strict than before, a few words each."""
    strict = stricter(before, after)
    return tuple(
        f"{_camel(f.name)} from {getattr(before, f.name):g} to {getattr(after, f.name):g}"
        for f in fields(after)
        if getattr(strict, f.name) != getattr(after, f.name)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one app loses in clusters that lose the same.

    `going`: ids that it deletes now, `protected` those of protected kinds; `came`: ids that came from it within the
    window and that `causes`, other apps, delete now; `gone`: ids that went earlier in the window and are nowhere;
    `had`: how many it had in all; `removed`: it leaves the clusters; `covered`: an operator approved just this.
    """

    app: str
    clusters: tuple[str, ...]
    before: int
    after: int
    had: int
    going: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    protected: frozenset[str] = frozenset()
    removed: bool = False
    covered: bool = False
    came: frozenset[str] = frozenset()
    causes: tuple[str, ...] = ()

    @property
    def tally(self) -> Tally:
        """In numbers."""
        return Tally(
            before=self.before,
            after=self.after,
            going=len(self.going | self.came),
            gone=len(self.gone),
            moved=max(0, self.had - self.before - len(self.gone)),
            protected=len(self.protected),
            removed=self.removed,
        )

    @property
    def deletes(self) -> bool:
        """Whether anything goes because of it."""
        return bool(self.going) or self.removed


def merged(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Steps that lose the same become one, for all their clusters: they may differ in what else runs there."""
    found: dict[Step, list[str]] = {}
    for step in steps:
        found.setdefault(replace(step, clusters=()), []).extend(step.clusters)
    return tuple(replace(step, clusters=tuple(sorted(clusters))) for step, clusters in found.items())


def losses(steps: Iterable[Step]) -> tuple[Loss, ...]:
    """What would go, one entry per group of clusters that lose something."""
    return tuple(
        Loss(
            clusters=step.clusters,
            object_ids=tuple(sorted(step.going)),
            objects_before=step.had,
            app_removed=step.removed,
            gone_before=len(step.gone),
        )
        for step in steps
        if step.deletes
    )


def reasons_to_hold(step: Step, settings: GuardSettings) -> tuple[HeldReason, ...]:
    """Why the step is too destructive to be sent unasked; empty when it is not."""
    if step.covered:
        step = replace(step, going=frozenset(), protected=frozenset(), removed=False, after=step.before)
    where, lost = _where(step.clusters), step.tally.going + len(step.gone)
    found = []
    for excess in excesses(step.tally, settings.budget):
        match excess:
            case Excess.REMOVED:
                found.append(("KNR3001", f"app {step.app} would be removed from {where}"))
            case Excess.EMPTIED:
                what = f"all {step.before} objects would be deleted"
                found.append(("KNR3002", f"app {step.app} would be emptied in {where}: {what}"))
            case Excess.MANY:
                earlier = f", {len(step.gone)} of them earlier in the guard's window" if step.gone else ""
                code = "KNR3006" if step.causes else "KNR3003"
                also = f"; app {', '.join(step.causes)} deletes what came from it" if step.causes else ""
                found.append(
                    (code, f"app {step.app} would lose {lost} of its {step.had} objects in {where}{earlier}{also}")
                )
            case Excess.PROTECTED:
                shown = ", ".join(object_words(i) for i in sorted(step.protected)[:_SHOWN])
                more = len(step.protected) - _SHOWN
                shown += f" and {more} more" if more > 0 else ""
                found.append(("KNR3004", f"app {step.app} would delete {shown} in {where}"))
    return tuple(HeldReason(code=code, message=message) for code, message in found)


def leaves_too_many(app: str, leaving: int, clusters_before: int, settings: GuardSettings) -> tuple[HeldReason, ...]:
    """Whether the app would leave more of its clusters than may go unasked."""
    if not clusters_before or leaving <= settings.max_clusters_left_share * clusters_before:
        return ()
    message = f"app {app} would leave {leaving} of its {clusters_before} clusters"
    return (HeldReason(code="KNR3005", message=message),)


def _where(clusters: tuple[str, ...]) -> str:
    shown = ", ".join(clusters[:3])
    return shown if len(clusters) <= 3 else f"{shown} and {len(clusters) - 3} more"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _typed(value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        return bool(value)
    return type(default)(value) if isinstance(value, int | float) and not isinstance(value, bool) else default
