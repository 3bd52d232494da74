"""How the consuming goes, for readiness, the page and the metrics (Watch of libs/messaging)."""

from __future__ import annotations

import time

from knarr.messaging.consume import Handled
from knarr.status import metrics


class Hearing:
    """When each stream was last read with success, on the monotonic clock."""

    def __init__(self) -> None:
        self._heard: dict[str, float] = {}

    def expect(self, stream: str) -> None:
        """Counts from now on."""
        self._heard.setdefault(stream, time.monotonic())

    def looked(self, stream: str, pending: int) -> None:
        """Read just now."""
        metrics.PENDING.labels(stream).set(pending)
        self._heard[stream] = time.monotonic()

    def settled(self, stream: str, handled: Handled) -> None:
        """A batch is recorded, asked for again, or in the dead letters."""
        for outcome, count in handled.counts.items():
            metrics.MESSAGES.labels(stream, outcome.value).inc(count)
        metrics.BATCH_SECONDS.labels(stream).observe(handled.seconds)
        metrics.LAG_SECONDS.labels(stream).set(handled.lag)

    def deaf_seconds(self) -> float:
        """How long ago the stream was read that was read longest ago."""
        now = time.monotonic()
        return max((now - at for at in self._heard.values()), default=0.0)
