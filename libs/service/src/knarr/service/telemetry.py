"""OpenTelemetry set-up: spans over OTLP/HTTP when an endpoint is given, else none are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


@contextmanager
def telemetry(service: str, instance: str = "") -> Iterator[None]:
    """Sets the process's tracer provider, and flushes it at the end.

    OTEL_EXPORTER_OTLP_ENDPOINT names the backend (OTLP over HTTP). Without one spans still exist, so that trace ids
    reach messages and logs, but nothing is exported.
    """
    resource = Resource.create({"service.namespace": "knarr", "service.name": service, "service.instance.id": instance})
    provider = TracerProvider(resource=resource)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()
