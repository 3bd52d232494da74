"""The fleet at a glance: counts per stage and per app. Pure; from grouped rows of the read model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from knarr.status.core.standing import COUNTED, Standing

# Stages that everybody names are shown in the order in which changes travel; others follow by name.
_USUAL = ("dev", "development", "test", "qa", "staging", "stage", "canary", "preprod", "prod", "production")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Some (clusters or placements) that stand the same."""

    name: str
    standing: Standing
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many stand how, by name."""

    name: str
    counts: Mapping[Standing, int]

    @property
    def total(self) -> int:
        """All of them; what is removed counts nowhere."""
        return sum(self.counts.values())

    def words(self) -> dict[str, int]:
        """Word → count, every word present, from good to bad."""
        return {s.word: self.counts.get(s, 0) for s in COUNTED}


def tally(groups: Iterable[Group]) -> tuple[Tally, ...]:
    """One tally per name, in the order of names."""
    found: dict[str, dict[Standing, int]] = {}
    for group in groups:
        if group.standing is Standing.REMOVED:
            continue
        counts = found.setdefault(group.name, {})
        counts[group.standing] = counts.get(group.standing, 0) + group.count
    return tuple(Tally(name=name, counts=found[name]) for name in sorted(found))


def in_stage_order(tallies: Iterable[Tally]) -> tuple[Tally, ...]:
    """dev before staging before prod; unknown names after them; clusters without the label last."""
    return tuple(sorted(tallies, key=lambda t: stage_order(t.name)))


def stage_order(name: str) -> tuple[int, str]:
    """The sort key of a stage's name."""
    if name in _USUAL:
        return _USUAL.index(name), name
    return (len(_USUAL) + 1 if name == "" else len(_USUAL)), name


def total(tallies: Iterable[Tally], name: str) -> Tally:
    """All of them together, under one name."""
    counts: dict[Standing, int] = {}
    for one in tallies:
        for standing, count in one.counts.items():
            counts[standing] = counts.get(standing, 0) + count
    return Tally(name=name, counts=counts)
