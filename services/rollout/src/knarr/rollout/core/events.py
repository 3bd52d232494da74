"""What can happen to rollout: one type each. `transition` says what it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.pipeline.decision import Command
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.pipeline.revision import CommitRendered, RevisionRendered


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A commit was rendered. `revisions`: app → the revision that it names, where that was found."""

    rendered: CommitRendered
    revisions: Mapping[str, RevisionRendered] = field(default_factory=dict)
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClustersReported:
    """Clusters say who they are."""

    reports: tuple[ClusterReport, ...]
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppsReported:
    """Clusters say how apps are."""

    reports: tuple[AppReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commanded:
    """An operator asks. `revision`: the one that a plan names, where it was found."""

    command: Command
    revision: RevisionRendered | None = None
    traceparent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePassed:
    """Nothing happened but that it got later: approvals expire, windows end."""


Event = Rendered | ClustersReported | AppsReported | Commanded | TimePassed
