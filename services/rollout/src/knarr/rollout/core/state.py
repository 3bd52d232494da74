"""What rollout knows: one frozen value, read by every decision and changed by `transition` only.

All of it is kept in PostgreSQL but for the indexes by cluster, which follow from the rest. Maps are persistent: a
changed copy costs what changed, so that one report in ten thousand clusters costs one report.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

from immutables import Map

from knarr.pipeline.digest import sha256
from knarr.pipeline.revision import BundleRef, Index, RevisionRendered
from knarr.rollout.core.guard import GuardSettings

K = TypeVar("K")
V = TypeVar("V")
_SIGNATURE_MASK = (1 << 256) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far rollout has come with a source. `digest`: of the rendered commit that was decided last, so that one that
    arrives twice is decided once."""

    commit: int
    facts: int
    digest: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexView:
    """A bundle's index, ready for set arithmetic. `ids`: what stays in the cluster; `hooks`: what runs."""

    ids: frozenset[str]
    protected: frozenset[str] = frozenset()
    hooks: frozenset[str] = frozenset()

    @property
    def claims(self) -> frozenset[str]:
        """Everything that nobody else may hold."""
        return self.ids | self.hooks if self.hooks else self.ids

    @staticmethod
    def of(index: Index) -> IndexView:
        """From the message."""
        return IndexView(
            ids=frozenset(sys.intern(o.object_id) for o in index.objects if not o.hook),
            protected=frozenset(sys.intern(o.object_id) for o in index.objects if o.protected and not o.hook),
            hooks=frozenset(sys.intern(o.object_id) for o in index.objects if o.hook),
        )


EMPTY_INDEX = IndexView(ids=frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What one cluster was last assigned for one app.

    `approved`: an operator approved what this step deletes, and the cluster has not confirmed it yet. `agent_holds`:
    the cluster's agent waits for such an approval, by its own budget. `protected`: what is approved or waits holds
    protected kinds.
    """

    ref: BundleRef
    revision: str
    defer_prune: bool = False
    approved: bool = False
    protected: bool = False
    agent_holds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A tombstone on its way: the app is to leave the cluster. `digest`: what it was last assigned there."""

    since_generation: int
    revision: str
    digest: bytes = b""
    approved: bool = False
    protected: bool = False
    agent_holds: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A cluster. `sealing_key` is empty until it has reported for the first time, and bound from then on.

    `told`, `told_ms`: the number and time of what was last said against its reports; `raised_ms`: when it was last
    sent an assignment for being ahead or having a new key. Unix milliseconds.
    """

    name: str
    in_fleet: bool = False
    uid: str = ""
    sealing_key: bytes = b""
    signing_key: bytes = b""
    generation: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    told: str = ""
    told_ms: int = 0
    raised_ms: int = 0

    @property
    def enrolled(self) -> bool:
        """Whether an assignment can be sealed for it."""
        return bool(self.uid and self.sealing_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is wanted of one app: the newest good revision, the last one let through, and whether it is gone.

    `gone_in`: the number of the commit that has it no more.

    `judged_by`, `judged_ms`: of a held target, the strictest guards that have judged it, and when it was first held: it
    stays held although they are loosened or time passes. `waiting`: clusters whose step waits until another app
    renders. `holds_told_ms`: when it was last told which agents hold it by their own budget; `holds_untold`: that has
    changed since.
    """

    source: str
    revision: RevisionRendered
    released: RevisionRendered | None = None
    gone: bool = False
    gone_in: int = 0
    held: bool = False
    judged_by: GuardSettings | None = None
    judged_ms: int = 0
    waiting: tuple[str, ...] = ()
    holds_told_ms: int = 0
    holds_untold: bool = False

    @property
    def id(self) -> str:
        """What an approval of this target names: the revision, or its removal by just that commit."""
        if not self.gone:
            return self.revision.revision
        return f"remove-{sha256(f'{self.revision.revision} {self.gone_in}'.encode()).hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An operator's approval of one target, until it is used up. `clusters`: where it has not been used yet → the
    digest of what was shown to go there.
    """

    target: str
    evidence: bytes
    approved_ms: int
    clusters: Mapping[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """An app that did not render. `clusters`: where deletions wait because of it; empty: everywhere."""

    source: str
    clusters: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """The settings in force, the number of the fleet commit that set them, and those before it."""

    settings: GuardSettings = GuardSettings()
    before: GuardSettings = GuardSettings()
    commit: int = 0


Left = Mapping[str, int]  # object id → when it left the app, Unix milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetState:
    """Everything at once. `placements`, `removals`: app → cluster → value. `left`: cluster → app → what left it;
    `departed`: app → cluster that it left unasked → when, Unix milliseconds.

    From the rest follow `assigned` (cluster → app → placement), `leaving` (cluster → app → removal), `signatures`
    (cluster → sum over what it is assigned: equal for clusters that run the same) and `deferred` (placements whose
    prune waits).
    """

    epoch: str = ""
    members: Map[str, Member] = Map()
    targets: Map[str, Target] = Map()
    placements: Map[str, Map[str, Placement]] = Map()
    removals: Map[str, Map[str, Removal]] = Map()
    left: Map[str, Map[str, Left]] = Map()
    departed: Map[str, Map[str, int]] = Map()
    indexes: Map[bytes, IndexView] = Map()
    failing: Map[str, Failing] = Map()
    progress: Map[str, Progress] = Map()
    guards: Guards = Guards()
    grants: Map[str, Grant] = Map()
    assigned: Map[str, Map[str, Placement]] = Map()
    leaving: Map[str, Map[str, Removal]] = Map()
    signatures: Map[str, int] = Map()
    deferred: Map[tuple[str, str], None] = Map()

    def reachable(self, cluster: str) -> bool:
        """Whether the cluster is of the fleet, and an assignment can be sealed for it."""
        member = self.members.get(cluster)
        return member is not None and member.in_fleet and member.enrolled

    def placement(self, app: str, cluster: str) -> Placement | None:
        """What the cluster was last assigned for the app."""
        return self.placements.get(app, Map()).get(cluster)

    def removal(self, app: str, cluster: str) -> Removal | None:
        """The app's tombstone for the cluster."""
        return self.removals.get(app, Map()).get(cluster)

    def index_of(self, placement: Placement | None) -> IndexView:
        """The index of what is placed; empty for nothing."""
        return self.indexes[placement.ref.digest] if placement is not None else EMPTY_INDEX


def assembled(
    plain: FleetState,
    placements: Iterable[tuple[str, str, Placement]],
    removals: Iterable[tuple[str, str, Removal]],
    left: Iterable[tuple[str, str, Left]] = (),
    departed: Iterable[tuple[str, str, int]] = (),
) -> FleetState:
    """The state of the given rows (app, cluster, value), with the indexes that follow from them."""
    by_app, by_cluster = _nested(placements), _nested((c, a, p) for a, c, p in placements)
    state = replace(
        plain,
        placements=by_app,
        assigned=by_cluster,
        removals=_nested(removals),
        leaving=_nested((c, a, r) for a, c, r in removals),
        left=_nested((c, a, ids) for a, c, ids in left),
        departed=_nested(departed),
    )
    return replace(
        state,
        signatures=Map({c: _summed(apps) for c, apps in by_cluster.items()}),
        deferred=Map({(a, c): None for a, row in by_app.items() for c, p in row.items() if p.defer_prune}),
    )


def signature_with(signature: int, removed: int, added: int) -> int:
    """The signature after one placement gave way to another."""
    return (signature - removed + added) & _SIGNATURE_MASK


@lru_cache(maxsize=65_536)
def signature_part(app: str, digest: bytes) -> int:
    """What one placement adds to its cluster's signature."""
    return int.from_bytes(hashlib.blake2b(digest, key=hashlib.sha256(app.encode()).digest()).digest()[:32], "big")


def _summed(apps: Mapping[str, Placement]) -> int:
    return sum(signature_part(app, p.ref.digest) for app, p in apps.items()) & _SIGNATURE_MASK


def _nested(rows: Iterable[tuple[str, str, V]]) -> Map[str, Map[str, V]]:
    found: dict[str, dict[str, V]] = {}
    for outer, inner, value in rows:
        found.setdefault(outer, {})[inner] = value
    return Map({outer: Map(row) for outer, row in found.items()})
