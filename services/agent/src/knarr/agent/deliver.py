"""One trace per delivery: receive, load, apply, healthy, linked to the commit's trace that caused it.

Times are noted as they pass and the spans made at the end, so that what is not sampled costs nothing; failures always
are. Called by reconcile.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Status, StatusCode

from knarr.messaging.tracing import TRACER, link_to
from knarr.pipeline.digest import short
from knarr.pipeline.names import AppName


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One app's new bundle on its way to healthy. Times in Unix seconds."""

    app: AppName
    digest: bytes
    traceparent: str
    received: float
    marks: list[tuple[str, float]] = field(default_factory=list)

    def mark(self, stage: str, now: float) -> None:
        """The stage (receive, load, apply, healthy) ended now. Only the first time counts."""
        if all(known != stage for known, _ in self.marks):
            self.marks.append((stage, now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """`share` of the deliveries are exported, chosen by cluster and digest; 1.0 is all of them."""

    cluster: str
    share: float = 1.0

    def finish(self, delivery: Delivery, *, failed: str, now: float) -> None:
        """Emits the spans of a delivery that became healthy, or failed with a number."""
        if not failed and not self._sampled(delivery.digest):
            return
        root = TRACER.start_span(
            "deliver",
            context=Context(),
            links=link_to(delivery.traceparent),
            start_time=_nanoseconds(delivery.received),
            attributes={
                "knarr.cluster": self.cluster,
                "knarr.app": delivery.app,
                "knarr.digest": short(delivery.digest),
            },
        )
        if failed:
            root.set_status(Status(StatusCode.ERROR, failed))
        begun = delivery.received
        for stage, ended in delivery.marks:
            below = trace.set_span_in_context(root)
            TRACER.start_span(stage, context=below, start_time=_nanoseconds(begun)).end(_nanoseconds(ended))
            begun = ended
        root.end(_nanoseconds(now))

    def _sampled(self, digest: bytes) -> bool:
        drawn = hashlib.blake2b(self.cluster.encode() + digest, digest_size=4).digest()
        return int.from_bytes(drawn, "big") < self.share * 2**32


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
