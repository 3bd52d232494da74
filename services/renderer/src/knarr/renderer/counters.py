"""What the renderer counts. Names of apps and clusters are never labels."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from prometheus_client import Counter, Histogram

RUNS = Counter("knarr_renderer_runs", "Runs of a renderer, by renderer", ["renderer"])
CACHE_HITS = Counter("knarr_renderer_cache_hits", "Runs that were spared because their output was known")
FAILURES = Counter("knarr_renderer_failures", "Apps that failed in a commit, by number", ["code"])
RUN_SECONDS = Histogram(
    "knarr_renderer_run_seconds",
    "Seconds of one run, sandbox and parsing included, by renderer",
    ["renderer"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@dataclass(slots=True)
class Tally:
    """What one commit's rendering has cost; commits are rendered side by side, so totals would not tell."""

    renders: int = 0
    hits: int = 0
    stored: int = 0


# Of the commit that the current task works for.
TALLY: ContextVar[Tally | None] = ContextVar("tally", default=None)


def tally() -> Tally:
    """The current commit's; one that nobody reads outside of commits."""
    return TALLY.get() or Tally()
