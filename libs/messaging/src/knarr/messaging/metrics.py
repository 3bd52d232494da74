"""Prometheus metrics of consuming. Names of clusters are never labels."""

from __future__ import annotations

from prometheus_client import Counter

REFUSED = Counter("knarr_messages_refused_total", "Messages that went to the dead letters", ["stream", "code"])
UNKEPT = Counter(
    "knarr_messages_refused_unkept_total", "Refused messages of senders that have too many dead letters", ["stream"]
)
BISECTED = Counter("knarr_batches_bisected_total", "Batches that failed and were tried again in halves", ["stream"])
