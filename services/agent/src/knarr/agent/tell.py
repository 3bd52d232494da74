"""From a record to a report: judge it, note the transition, hand it to the publisher when something changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from knarr.agent.core.health import Health
from knarr.agent.core.outcome import Facts, Verdict, judge, unhealthy_of
from knarr.agent.deliver import Delivery, Tracer
from knarr.agent.publish import Publisher
from knarr.agent.records import Record
from knarr.pipeline.names import AppName, ObjectId
from knarr.pipeline.report import AppReport, AppState, Counts, ObjectHealth, Transition

_OVER = (AppState.FAILED, AppState.DEGRADED, AppState.HELD)


def _unknown_health(_record: Record, _identity: ObjectId) -> Health | None:
    return None


def _nobody_cares(_app: AppName) -> None:
    return None


@dataclass(slots=True, kw_only=True)
class Teller:
    """One per agent. `health` judges a live object; `changed` is told of each app whose state changed.

    Both are set by the reconciler, which comes to be after this.
    """

    cluster: str
    epoch: str
    publisher: Publisher
    tracer: Tracer
    clock: Callable[[], float]
    health: Callable[[Record, ObjectId], Health | None] = _unknown_health
    changed: Callable[[AppName], None] = _nobody_cares
    deliveries: dict[AppName, Delivery] = field(default_factory=dict)
    _told: dict[AppName, AppReport] = field(default_factory=dict)

    def tell(self, record: Record) -> float | None:
        """Reports the app if anything changed. When to look again because of its deadline, in Unix seconds."""
        now = self.clock()
        unhealthy = self._unhealthy(record, now)
        deadline = record.unhealthy_ms / 1000 + record.header.progress_deadline_seconds if unhealthy else None
        verdict = judge(
            Facts(
                applied=record.applied == record.digest != b"" and not record.waits_for,
                failures=record.failures,
                held=record.held,
                drifted=record.drifted,
                waits_for=record.waits_for,
                begun=record.digest != b"",
                unhealthy=unhealthy,
                late=deadline is not None and now >= deadline,
            )
        )
        self._publish(record, verdict, unhealthy)
        return deadline if deadline is not None and now < deadline else None

    def removed(self, record: Record) -> None:
        """The last word of an app."""
        self._publish(record, Verdict(state=AppState.REMOVED), ())

    def forget(self, app: AppName) -> None:
        """The app is not spoken of any more."""
        self._told.pop(app, None)
        self.deliveries.pop(app, None)
        self.publisher.forget(app)

    def everything(self) -> None:
        """Reports every app once more."""
        for report in self._told.values():
            self.publisher.app(report, None)

    def _unhealthy(self, record: Record, now: float) -> tuple[ObjectHealth, ...]:
        healths = {i: h for i, e in record.entries.items() if e.uid and (h := self.health(record, i)) is not None}
        unhealthy = unhealthy_of((i for i, e in record.entries.items() if e.uid), healths)
        if not unhealthy:
            record.unhealthy_ms = 0
        elif not record.unhealthy_ms:
            record.unhealthy_ms = int(now * 1000)
        return unhealthy

    def _publish(self, record: Record, verdict: Verdict, unhealthy: tuple[ObjectHealth, ...]) -> None:
        now = int(self.clock() * 1000)
        before = self._told.get(record.app)
        moved = before is None or before.state is not verdict.state or before.digest != record.digest
        if moved:
            record.state, record.since_ms = verdict.state, now
        record.message = verdict.message
        report = self._report(record, verdict, unhealthy)
        if report == before:
            return
        self._told[record.app] = report
        transition = Transition(
            state=verdict.state,
            at_ms=now,
            digest=record.digest,
            generation=record.generation,
            reason=(verdict.failures[0].code if verdict.failures else "") or verdict.message[:200],
        )
        self.publisher.app(report, transition if moved else None)
        if moved:
            self.changed(record.app)
            self._trace(record, verdict)

    def _report(self, record: Record, verdict: Verdict, unhealthy: tuple[ObjectHealth, ...]) -> AppReport:
        return AppReport(
            cluster=self.cluster,
            app=record.app,
            state=verdict.state,
            digest=record.digest,
            generation=record.generation,
            since_ms=record.since_ms,
            failures=verdict.failures,
            counts=Counts(**record.counts),
            unhealthy=unhealthy,
            adoptions=record.adoptions,
            drift=record.drift,
            epoch=self.epoch,
            message=verdict.message[:500],
            applied_at_ms=record.applied_ms,
            object_count=len(record.entries),
            held_digests=(record.digest,) if record.held is not None else (),
            traceparent=record.traceparent,
        )

    def _trace(self, record: Record, verdict: Verdict) -> None:
        delivery = self.deliveries.get(record.app)
        if delivery is None or delivery.digest != record.digest:
            return
        now = self.clock()
        if verdict.state is AppState.HEALTHY:
            delivery.mark("healthy", now)
        elif verdict.state not in _OVER:
            return
        failed = verdict.failures[0].code if verdict.failures else ""
        del self.deliveries[record.app]
        self.tracer.finish(delivery, failed=failed, now=now)
