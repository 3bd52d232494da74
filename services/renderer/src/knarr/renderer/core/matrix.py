"""App × clusters: which target takes which clusters, first match wins.

The cost is per distinct combination of the labels that a selector reads, not per cluster (I11): clusters are grouped
once by each set of labels and the groups are shared by all apps.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from knarr.pipeline.failure import Failure
from knarr.renderer.core.documents import App, Cluster, SourceBounds, Target
from knarr.renderer.core.failures import failure
from knarr.renderer.core.selector import Selector

Clusters = tuple[Cluster, ...]
ANYWHERE = SourceBounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The clusters that one target takes. `target` is its place in the app's list."""

    target: Target
    index: int
    clusters: Clusters


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Where an app goes, and where it does not."""

    placements: tuple[Placement, ...] = ()
    outside: tuple[Placement, ...] = ()  # what targets name and the source's bounds do not allow
    unmatched: Clusters = ()
    failures: tuple[Failure, ...] = ()


class ClusterIndex:
    """The fleet's clusters, grouped on demand by whatever an app looks at. Groups are kept."""

    def __init__(self, clusters: Iterable[Cluster]) -> None:
        self.clusters: Clusters = tuple(clusters)
        self.names = frozenset(c.name for c in self.clusters)
        self._groups: dict[Hashable, tuple[Clusters, ...]] = {}
        self._within: dict[SourceBounds, frozenset[str]] = {}

    def by_labels(self, keys: frozenset[str]) -> tuple[Clusters, ...]:
        """Groups of clusters that agree in all labels of `keys`."""
        ordered = sorted(keys)
        return self._grouped(("labels", *ordered), lambda c: tuple(c.labels.get(k) for k in ordered))

    def within(self, bounds: SourceBounds) -> frozenset[str]:
        """The clusters that a source with these bounds may go to."""
        if bounds.clusters is None and not bounds.selector.requirements:
            return self.names
        known = self._within.get(bounds)
        if known is None:
            known = frozenset(c.name for c in self.clusters if _is_within(bounds, c))
            self._within[bounds] = known
        return known

    def _grouped(self, name: Hashable, key: Callable[[Cluster], Hashable]) -> tuple[Clusters, ...]:
        known = self._groups.get(name)
        if known is None:
            known = group(self.clusters, key)
            self._groups[name] = known
        return known


def group(clusters: Iterable[Cluster], key: Callable[[Cluster], Hashable]) -> tuple[Clusters, ...]:
    """Clusters that agree in `key`, together; groups and members keep their order."""
    groups: dict[Hashable, list[Cluster]] = {}
    for cluster in clusters:
        groups.setdefault(key(cluster), []).append(cluster)
    return tuple(tuple(members) for members in groups.values())


def place(app: App, index: ClusterIndex, groups: Mapping[str, Selector], bounds: SourceBounds = ANYWHERE) -> Matrix:
    """Every cluster's target in `app`, or the failures that make this unknown (KNR2016, KNR2106).

    An app without targets goes to every cluster within its source's bounds; a target may name none outside.
    """
    failures = _unknown_names(app, index, groups)
    if failures:
        return Matrix(failures=failures)
    selectors = [(t.selector, groups.get(t.group, Selector())) for t in app.targets]
    keys = frozenset(key for pair in selectors for selector in pair for key in selector.keys)
    names = frozenset(name for t in app.targets for name in t.clusters)
    taken: list[list[Cluster]] = [[] for _ in app.targets]
    unmatched: list[Cluster] = []
    for members in index.by_labels(keys):
        candidates = [i for i, pair in enumerate(selectors) if all(s.matches(members[0].labels) for s in pair)]
        for part in group(members, lambda c: c.name if c.name in names else "") if names else (members,):
            chosen = next((i for i in candidates if _by_name(app.targets[i], part[0])), None)
            (unmatched if chosen is None else taken[chosen]).extend(part)
    placements = [
        Placement(target=target, index=i, clusters=tuple(clusters))
        for i, (target, clusters) in enumerate(zip(app.targets, taken, strict=True))
        if clusters
    ]
    allowed = index.within(bounds)
    if len(allowed) == len(index.names):
        return Matrix(placements=tuple(placements), unmatched=tuple(unmatched))
    outside = () if app.untargeted else _only(placements, lambda c: c.name not in allowed)
    return Matrix(
        placements=_only(placements, lambda c: c.name in allowed), outside=outside, unmatched=tuple(unmatched)
    )


def _only(placements: Iterable[Placement], wanted: Callable[[Cluster], bool]) -> tuple[Placement, ...]:
    parts = (replace(p, clusters=tuple(c for c in p.clusters if wanted(c))) for p in placements)
    return tuple(p for p in parts if p.clusters)


def _is_within(bounds: SourceBounds, cluster: Cluster) -> bool:
    named = bounds.clusters is None or any(fnmatchcase(cluster.name, pattern) for pattern in bounds.clusters)
    return named and bounds.selector.matches(cluster.labels)


def _by_name(target: Target, cluster: Cluster) -> bool:
    return not target.clusters or cluster.name in target.clusters


def _unknown_names(app: App, index: ClusterIndex, groups: Mapping[str, Selector]) -> tuple[Failure, ...]:
    unknown = [
        failure("KNR2016", f"fleet.yaml has no group {t.group!r}", origin=t.origin)
        for t in app.targets
        if t.group and t.group not in groups
    ]
    unknown += [
        failure("KNR2106", f"the fleet has no cluster {name!r}", origin=t.origin)
        for t in app.targets
        for name in t.clusters
        if name not in index.names
    ]
    return tuple(unknown)
