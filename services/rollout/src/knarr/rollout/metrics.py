"""What rollout counts. Names of clusters, apps and commits are never labels."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from knarr.pipeline.decision import AppVerdict, RolloutDecided

DECISIONS = Counter("knarr_rollout_decisions", "Decisions, one per rendered commit or command that changed intent.")
ASSIGNMENTS = Counter("knarr_rollout_assignments", "Assignments sent.")
VERDICTS = Counter("knarr_rollout_verdicts", "What was decided of an app.", ["verdict"])
HELD = Gauge("knarr_rollout_held_apps", "Apps whose newest revision is held now.")
REFUSED = Counter("knarr_rollout_refused_reports", "Reports of clusters that are not the ones they say.", ["standing"])
SECONDS = Histogram("knarr_rollout_decide_seconds", "From a rendered commit to its assignments in the stream.")


def note_decision(decision: RolloutDecided, *, held: int) -> None:
    """One decision was published; so many apps are held after it."""
    DECISIONS.inc()
    ASSIGNMENTS.inc(len(decision.assignments))
    HELD.set(held)
    for app in decision.apps:
        if app.verdict is not AppVerdict.UNCHANGED:
            VERDICTS.labels(verdict=app.verdict.value).inc()
