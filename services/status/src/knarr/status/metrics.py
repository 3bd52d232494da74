"""Prometheus metrics. Names of clusters, apps and objects are never labels."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("knarr_status_messages_total", "Messages handled, by stream and outcome", ["stream", "outcome"])
PENDING = Gauge("knarr_status_pending_messages", "Messages that wait to be read, by stream", ["stream"])
BATCH_SECONDS = Histogram(
    "knarr_status_batch_seconds", "Time to write one batch, by stream", ["stream"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)  # fmt: skip
LAG_SECONDS = Gauge("knarr_status_lag_seconds", "Age of the newest message when it was written, by stream", ["stream"])
UNKNOWN = Counter("knarr_status_reports_of_unknown_apps_total", "Reports on apps that neither Git nor rollout knows")
UNTOLD = Counter("knarr_status_events_untold_total", "Events of clusters that have had their share of them")
STANDINGS = Gauge("knarr_status_clusters", "Clusters by how they stand", ["standing"])
SOURCES_UNREACHABLE = Gauge("knarr_status_sources_unreachable", "Sources that cannot be read")
HELD = Gauge("knarr_status_revisions_held", "Revisions held by the guard until approved or reverted")
STREAM_CLIENTS = Gauge("knarr_status_stream_clients", "Pages that listen to the live stream")
STREAM_DROPPED = Counter("knarr_status_stream_dropped_total", "Times a slow page was told to read everything again")
REQUESTS = Counter(
    "knarr_status_requests_total", "API requests, by operation and status class", ["operation", "status"]
)
REQUEST_SECONDS = Histogram("knarr_status_request_seconds", "Time to answer, by operation", ["operation"])
