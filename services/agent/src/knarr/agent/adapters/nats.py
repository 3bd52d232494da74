"""The `Hub` port over knarr.messaging's supervised connection.

A hint counts only with `Nats-Stream: ASSIGNMENTS` and this cluster's own `Nats-Subject`: another agent can make a
message appear on our hint subject (facts C.3), so anything else is dropped unread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from nats.aio.msg import Msg

from knarr.agent.ports import Delivered, Hint, Report
from knarr.messaging.blobs import get_sealed
from knarr.messaging.broker import Broker
from knarr.messaging.streams import ASSIGNMENTS, BLOBS
from knarr.messaging.subjects import (
    assignment_subject,
    hint_subject,
    report_app_subject,
    report_cluster_subject,
    report_plan_subject,
)
from knarr.pipeline.assignment import AssignedApp
from knarr.pipeline.report import AppReport, ClusterReport


def hinted_sequence(headers: Mapping[str, str] | None, cluster: str) -> int | None:
    """The sequence that a genuine hint names; None for anything else."""
    found = headers or {}
    if found.get("Nats-Stream") != ASSIGNMENTS or found.get("Nats-Subject") != assignment_subject(cluster):
        return None
    sequence = found.get("Nats-Sequence", "")
    return int(sequence) if sequence.isdigit() and len(sequence) < 19 else None


class NatsHub:
    """One per agent. `start` subscribes; the broker keeps the connection."""

    def __init__(self, broker: Broker, cluster: str) -> None:
        self._broker = broker
        self._cluster = cluster
        self._hinted = asyncio.Event()
        self._sequence = 0
        self.forged_hints = 0

    async def start(self) -> None:
        """Subscribes to the hints and to the connection's own events."""
        self._broker.on_connected(self._connected)
        await self._broker.subscribe(hint_subject(self._cluster), self._hint)
        if self._broker.connected:
            self._hinted.set()

    async def newest_assignment(self) -> Delivered | None:
        """See the port."""
        found = await self._broker.newest_bytes(ASSIGNMENTS, assignment_subject(self._cluster))
        return Delivered(data=found.value, sequence=found.sequence) if found is not None else None

    async def blob(self, app: AssignedApp) -> bytes:
        """See the port."""
        return await get_sealed(self._broker, BLOBS, "blob", app.address, app.chunk_count)

    async def report(self, report: Report) -> int:
        """See the port."""
        if isinstance(report, AppReport):
            subject = report_app_subject(self._cluster, report.app)
        elif isinstance(report, ClusterReport):
            subject = report_cluster_subject(self._cluster)
        else:
            subject = report_plan_subject(self._cluster)
        return await self._broker.publish(subject, report)

    async def next_hint(self) -> Hint:
        """See the port."""
        await self._hinted.wait()
        self._hinted.clear()
        sequence, self._sequence = self._sequence, 0
        return Hint(sequence=sequence)

    async def _connected(self) -> None:
        self._hinted.set()

    async def _hint(self, message: Msg) -> None:
        sequence = hinted_sequence(message.headers, self._cluster)
        if sequence is None:
            self.forged_hints += 1
            return
        self._sequence = max(self._sequence, sequence)
        self._hinted.set()
