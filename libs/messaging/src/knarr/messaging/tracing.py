"""Trace context in message headers (W3C traceparent)."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext

TRACER = trace.get_tracer("knarr")


def inject(headers: dict[str, str]) -> dict[str, str]:
    """Adds the current span's context to `headers`, and gives them back."""
    propagate.inject(headers)
    return headers


def extract(headers: Mapping[str, str] | None) -> Context:
    """The context that the sender was in."""
    return propagate.extract({k.lower(): v for k, v in (headers or {}).items()})


def current_traceparent() -> str:
    """The current span's traceparent; empty when there is none."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "")


def link_to(traceparent: str) -> tuple[Link, ...]:
    """A link to the span that `traceparent` names; empty when it names none."""
    context: SpanContext = trace.get_current_span(extract({"traceparent": traceparent})).get_span_context()
    return (Link(context),) if context.is_valid else ()
