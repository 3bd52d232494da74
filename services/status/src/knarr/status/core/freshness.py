"""When a cluster counts as silent, always by the hub's clock.

The time of a report is the broker's timestamp of the message; what the agent's own clock says is shown and never
compared.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """A cluster that misses `missed_reports` reports in a row is silent."""

    report_interval_seconds: float = 60.0
    missed_reports: int = 3

    def silent_before_ms(self, now_ms: int) -> int:
        """Clusters last heard before this moment are silent. One tenth of an interval allows for jitter."""
        return now_ms - int(self.report_interval_seconds * (self.missed_reports + 0.1) * 1000)

    def is_silent(self, heard_at_ms: int | None, now_ms: int) -> bool:
        """Never heard is silent too."""
        return heard_at_ms is None or heard_at_ms < self.silent_before_ms(now_ms)


def age(milliseconds: int) -> str:
    """A duration for a person: two units at most (`3 min 20 s`)."""
    seconds = max(0, milliseconds) // 1000
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min" + (f" {seconds % 60} s" if seconds % 60 and seconds < 600 else "")
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h" + (f" {seconds % 3600 // 60} min" if seconds % 3600 >= 60 else "")
    return f"{seconds // 86400} days"
