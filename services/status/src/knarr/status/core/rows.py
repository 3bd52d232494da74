"""Rows of the read model, one frozen value per table that messages write.

Times are milliseconds since 1970: `*_at_ms` of the hub's clock, unless the comment says agent's clock. `*_json` are
cleaned, bounded JSON texts.
"""

from __future__ import annotations

from dataclasses import dataclass

from knarr.status.core.position import Position

ALL = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRow:
    """What a cluster says of itself."""

    position: Position
    name: str
    heard_at_ms: int
    epoch: str
    uid: str
    generation_seen: int
    generation_applied: int
    agent_version: str
    start_number: int
    kubernetes_version: str
    # Keys already carry the prefix reported.knarr.dev/.
    labels_json: str
    # None: not known now; what was known before stays.
    capabilities: tuple[str, ...] | None
    features: tuple[str, ...]
    failures_json: str
    app_count: int
    # Agent's clock.
    reported_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRow:
    """What a cluster says of one app."""

    position: Position
    cluster: str
    app: str
    heard_at_ms: int
    state: str
    digest: bytes
    generation: int
    # Agent's clock.
    since_ms: int
    applied_at_ms: int
    message: str
    failures_json: str
    unhealthy_json: str
    drift_json: str
    adoptions_json: str
    counts_json: str
    object_count: int
    held_digests: tuple[str, ...]
    traceparent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRow:
    """One line of a placement's history; times of the agent's clock."""

    cluster: str
    app: str
    at_ms: int
    state: str
    digest: bytes
    generation: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedRow:
    """What rollout last assigned to a cluster for one app; no digest: its removal."""

    position: Position
    cluster: str
    app: str
    digest: bytes | None
    generation: int | None
    revision: str
    assigned_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRow:
    """A commit as Git and the fetcher describe it."""

    source: str
    number: int
    sha: str
    ref: str
    author: str
    subject: str
    url: str
    committed_at_ms: int
    observed_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionRow:
    """A revision without its variants."""

    revision: str
    app: str
    source: str
    commit_number: int
    commit_sha: str
    fleet_number: int
    facts_number: int
    rendered_at_ms: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """Clusters of a revision that share one bundle. `origins_json`: object id → file and line in Git."""

    digest: bytes
    object_count: int
    clusters: tuple[str, ...]
    origins_json: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRow:
    """The object ids of a bundle; no bodies."""

    digest: bytes
    object_ids: tuple[str, ...]
    protected_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """What rollout decided on one revision (or removal) of one app."""

    position: Position
    app: str
    revision: str
    verdict: str
    decided_at_ms: int
    command_id: str
    clusters: tuple[str, ...]
    reasons_json: str
    losses_json: str
    failures_json: str
    variants_json: str
    # What an approval has to name, in hex; empty when it was not told.
    evidence: str = ""
    # Approved, and waiting there.
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangerRow:
    """A report on an app that neither Git nor rollout knows. No app, at `ALL`: more than are remembered."""

    cluster: str
    app: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A transition that somebody may want to be told."""

    event_id: str
    kind: str
    cluster: str
    app: str
    message: str
    code: str
    revision: str
    at_ms: int
