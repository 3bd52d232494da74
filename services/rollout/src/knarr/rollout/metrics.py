"""What rollout counts. Names of clusters, apps and commits are never labels."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from knarr.pipeline.decision import AppVerdict, RolloutDecided

DECISIONS = Counter("knarr_rollout_decisions", "Decisions, one per rendered commit or command that changed intent.")
ASSIGNMENTS = Counter("knarr_rollout_assignments", "Assignments sent.")
VERDICTS = Counter("knarr_rollout_verdicts", "What was decided of an app.", ["verdict"])
HELD = Gauge("knarr_rollout_held_apps", "Apps whose newest revision is held now.")
REFUSED = Counter("knarr_rollout_refused_reports", "Reports of clusters that are not believed, told.", ["code"])
UNSEALED = Counter(
    "knarr_rollout_unsealed_assignments", "Assignments that could not be sealed or stored for a cluster."
)
UNSAID = Counter("knarr_rollout_unsaid_decisions", "Decisions and answers that the broker will never take.")
SECONDS = Histogram("knarr_rollout_decide_seconds", "From a rendered commit to its assignments in the stream.")


_REPORTS = frozenset({"KNR3020", "KNR3021", "KNR3022", "KNR3023"})


def note_decision(decision: RolloutDecided, *, held: int) -> None:
    """One decision was published; so many apps are held after it."""
    DECISIONS.inc()
    ASSIGNMENTS.inc(len(decision.assignments))
    HELD.set(held)
    for notice in decision.notices:
        if notice.code in _REPORTS:
            REFUSED.labels(code=notice.code).inc()
    for app in decision.apps:
        if app.verdict is not AppVerdict.UNCHANGED:
            VERDICTS.labels(verdict=app.verdict.value).inc()
