"""What to tell the others about a source: only when it changes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from knarr.pipeline.failure import Failure
from knarr.pipeline.snapshot import Commit, SourceReported


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a source stands after a look. A source can be reachable and still have a failure (a wrong fleet.yaml)."""

    source: str
    reachable: bool
    failure: Failure | None = None
    commit: Commit | None = None


def next_report(before: SourceReported | None, now: Standing, now_ms: int) -> SourceReported | None:
    """The report to publish, or None when the last one still says it. `since_ms` is when this state began."""
    report = SourceReported(
        source=now.source, reachable=now.reachable, failure=now.failure, since_ms=now_ms, commit=now.commit
    )
    if before is None:
        return report
    if (before.reachable, _code(before.failure)) == (now.reachable, _code(now.failure)):
        report = replace(report, since_ms=before.since_ms)
    if now.commit is None:
        report = replace(report, commit=before.commit)  # a failure does not make the last commit unknown
    return None if report == before else report


def _code(failure: Failure | None) -> str:
    return failure.code if failure else ""
