"""What the fetcher counts. Names of sources are never labels."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

LOOKS = Counter("knarr_fetcher_looks", "Times a source was looked at")
FETCHES = Counter("knarr_fetcher_fetches", "Fetches from Git hosts")
PUBLISHED_COMMITS = Counter("knarr_fetcher_published_commits", "Snapshots published")
PUBLISHED_BYTES = Counter("knarr_fetcher_published_bytes", "Sealed bytes that were new to the stream")
FAILURES = Counter("knarr_fetcher_failures", "Looks that failed, by number", ["code"])
CHART_FAILURES = Counter("knarr_fetcher_chart_failures", "References to charts that failed, by number", ["code"])
WEBHOOKS = Counter("knarr_fetcher_webhooks", "Webhook requests, by answer", ["status"])
SOURCES = Gauge("knarr_fetcher_sources", "Sources that are followed")
