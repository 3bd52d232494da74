"""What rollout knows: who is in the fleet, what each cluster was last assigned, and what is wanted next.

Owned and changed by the flow (decide.py) only; the core reads it. Everything in it is kept in Postgres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.pipeline.revision import BundleRef, Index, RevisionRendered

# (commit number, facts number) of a source: how far rollout has come with it.
Progress = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexView:
    """A bundle's index, ready for set arithmetic."""

    ids: frozenset[str]
    protected: frozenset[str]
    stable: Mapping[str, str]

    @staticmethod
    def of(index: Index) -> IndexView:
        """From the message."""
        return IndexView(
            ids=frozenset(o.object_id for o in index.objects),
            protected=frozenset(o.object_id for o in index.objects if o.protected),
            stable={o.object_id: o.stable_id for o in index.objects if o.stable_id and o.stable_id != o.object_id},
        )


EMPTY_INDEX = IndexView(ids=frozenset(), protected=frozenset(), stable={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What one cluster was last assigned for one app.

    `baseline` are the digests, oldest first and the present one last, that the cluster may still be running: what was
    assigned since its last confirmation. Deletions are counted against all of them together.
    """

    ref: BundleRef
    revision: str
    baseline: tuple[bytes, ...]
    defer_prune: bool = False
    approved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A tombstone on its way: the app is to leave the cluster."""

    since_generation: int
    revision: str
    baseline: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A cluster. `sealing_key` is empty until it has reported for the first time."""

    name: str
    in_fleet: bool = False
    uid: str = ""
    sealing_key: bytes = b""
    generation: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def enrolled(self) -> bool:
        """Whether an assignment can be sealed for it."""
        return bool(self.uid and self.sealing_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is wanted of one app: the newest good revision, the last one let through, and whether it is gone."""

    source: str
    revision: RevisionRendered
    released: RevisionRendered | None = None
    gone: bool = False
    held: bool = False

    @property
    def removal_id(self) -> str:
        """What an approval of the app's removal names: stable while nothing else changes."""
        return f"remove-{self.revision.revision}"


@dataclass(slots=True, kw_only=True)
class FleetState:
    """Everything at once; `placements` and `removals` are app → cluster → value."""

    members: dict[str, Member] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    placements: dict[str, dict[str, Placement]] = field(default_factory=dict)
    removals: dict[str, dict[str, Removal]] = field(default_factory=dict)
    indexes: dict[bytes, IndexView] = field(default_factory=dict)
    approvals: set[str] = field(default_factory=set)
    # App that failed to render → clusters in which deletions wait because of it; empty: everywhere.
    failing: dict[str, frozenset[str]] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)

    def index(self, digest: bytes) -> IndexView:
        """The index of a bundle that was assigned; KeyError would be a bug."""
        return self.indexes[digest]

    def reachable_members(self) -> list[str]:
        """Clusters of the fleet that an assignment can be sealed for."""
        return [name for name, member in self.members.items() if member.in_fleet and member.enrolled]
