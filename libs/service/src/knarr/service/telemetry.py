"""OpenTelemetry set-up: spans over OTLP/HTTP when an endpoint is given, else none are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import getproxies

from opentelemetry import trace
from opentelemetry.exporter.http.transport._urllib3 import Urllib3HTTPTransport
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
        provider.add_span_processor(BatchSpanProcessor(_exporter(), schedule_delay_millis=500))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def _exporter() -> OTLPSpanExporter:
    """OTLP over urllib3: its default transport, requests, would cost an agent 5 MiB for nothing but proxies."""
    if getproxies():
        return OTLPSpanExporter()
    certificate, key = _setting("CLIENT_CERTIFICATE"), _setting("CLIENT_KEY")
    transport = Urllib3HTTPTransport(
        verify=_setting("CERTIFICATE") or True,
        cert=(certificate, key) if certificate and key else certificate or None,
    )
    return OTLPSpanExporter(_transport=transport)


def _setting(name: str) -> str:
    traces = os.environ.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}")
    return traces or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}", "")
