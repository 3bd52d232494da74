"""Reports to the hub: the newest of each app, with the transitions since the last acknowledged one.

While the hub is away the backlog coalesces: one report per app whatever happens meanwhile, at most twenty transitions
each (older ones are dropped and counted). What the cluster says of itself follows changes at most once a second. A
stream that begins again (a subject's sequence does not grow) gets everything once more. What is larger than the
hub takes is cut (libs/pipeline, report_fit.py).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from knarr.agent.core.outcome import MAX_TRANSITIONS
from knarr.agent.ports import Hub, Report
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.report import AppReport, ClusterReport, PlanReport, Transition
from knarr.pipeline.report_fit import fitted

LOG = structlog.get_logger("knarr.agent.publish")
_AT_ONCE = 32
_LONGEST_PAUSE = 20.0
_CLUSTER_SECONDS = 1.0


@dataclass(slots=True)
class _Slot:
    report: AppReport
    unacknowledged: tuple[Transition, ...] = ()


@dataclass(slots=True, kw_only=True)
class Publisher:
    """`compose` makes the cluster report when it is sent; `everything` is called when the stream began again."""

    hub: Hub
    compose: Callable[[], ClusterReport]
    everything: Callable[[], None]
    heartbeat_seconds: float = 60.0
    _apps: dict[str, _Slot] = field(default_factory=dict)
    _plans: list[PlanReport] = field(default_factory=list)
    _waiting: dict[str, None] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _cluster_due: bool = True
    _cluster_not_before: float = 0.0
    _sequences: dict[str, int] = field(default_factory=dict)
    dropped_transitions: int = 0
    sent: int = 0

    def app(self, report: AppReport, transition: Transition | None) -> None:
        """The newest word on an app; replaces an earlier one that was not sent yet."""
        slot = self._apps.setdefault(report.app, _Slot(report))
        kept = (*slot.unacknowledged, *((transition,) if transition else ()))
        self.dropped_transitions += max(0, len(kept) - MAX_TRANSITIONS)
        slot.unacknowledged = kept[-MAX_TRANSITIONS:]
        slot.report = report
        self._waiting[report.app] = None
        self.cluster()

    def plan(self, report: PlanReport) -> None:
        """The answer to a dry run; the last eight are kept until sent."""
        self._plans = [*self._plans, report][-8:]
        self._wake.set()

    def cluster(self) -> None:
        """What the cluster says of itself has changed."""
        self._cluster_due = True
        self._wake.set()

    def forget(self, app: str) -> None:
        """The app is no longer spoken of."""
        self._apps.pop(app, None)
        self._waiting.pop(app, None)
        self._sequences.pop(app, None)

    @property
    def waiting(self) -> int:
        """How many apps have a report that was not acknowledged yet."""
        return len(self._waiting)

    async def run(self) -> None:
        """Sends until cancelled."""
        pause = 0.2
        while True:
            try:
                await self._send_waiting()
                pause = 0.2
            except KnarrError as error:
                LOG.info("report not taken", error=str(error), waiting=len(self._waiting))
                await asyncio.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311
                pause = min(_LONGEST_PAUSE, pause * 2)
                continue
            await self._next()

    async def _next(self) -> None:
        wait = self.heartbeat_seconds * random.uniform(0.9, 1.1)  # noqa: S311
        if self._cluster_due:
            wait = max(0.0, self._cluster_not_before - asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            self._cluster_due = True

    async def _send_waiting(self) -> None:
        self._wake.clear()
        while self._waiting or self._plans:
            names = list(self._waiting)[:_AT_ONCE]
            sent = await asyncio.gather(
                *(self._send_app(n) for n in names), *self._send_plans(), return_exceptions=True
            )
            if failed := next((e for e in sent if isinstance(e, BaseException)), None):
                raise failed
        if self._cluster_due and (now := asyncio.get_running_loop().time()) >= self._cluster_not_before:
            self._cluster_due, self._cluster_not_before = False, now + _CLUSTER_SECONDS
            try:
                await self._sent("", self.compose())
            except KnarrError:
                self._cluster_due = True
                raise

    async def _send_app(self, name: str) -> None:
        slot = self._apps[name]
        sending, transitions = slot.report, slot.unacknowledged
        self._waiting.pop(name, None)
        try:
            await self._sent(name, replace(sending, transitions=transitions))
        except KnarrError:
            self._waiting[name] = None
            raise
        slot.unacknowledged = tuple(t for t in slot.unacknowledged if t not in transitions)

    def _send_plans(self) -> list[asyncio.Future[None]]:
        plans, self._plans = self._plans, []
        return [asyncio.ensure_future(self._send_plan(plan)) for plan in plans]

    async def _send_plan(self, plan: PlanReport) -> None:
        try:
            await self._sent(f"plan {plan.request_id}", plan)
        except KnarrError:
            self._plans.append(plan)
            raise
        finally:
            self._sequences.pop(f"plan {plan.request_id}", None)

    async def _sent(self, key: str, report: Report) -> None:
        sequence = await self.hub.report(fitted(report))
        self.sent += 1
        began_again = sequence <= self._sequences.get(key, 0)
        self._sequences[key] = sequence
        if began_again:
            LOG.warning("the stream of reports began again; everything is reported once more")
            self._sequences = {key: sequence}
            self.everything()
