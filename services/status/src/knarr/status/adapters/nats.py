"""JetStream: publishing, reading again, and purging (Teller, Plans, ReportStream)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import nats.errors
import nats.js.errors
from opentelemetry import trace

from knarr.messaging.broker import Broker
from knarr.messaging.consume import Received, stream_created
from knarr.messaging.envelope import to_wire
from knarr.messaging.streams import FACTS, REPORTS
from knarr.messaging.subjects import (
    command_subject,
    event_subject,
    facts_subject,
    report_app_subject,
    report_plan_subject,
)
from knarr.messaging.tracing import extract
from knarr.pipeline.decision import Command
from knarr.pipeline.errors import retryable
from knarr.pipeline.report import AppReport, PlanReport
from knarr.pipeline.revision import ClusterFacts
from knarr.status.core.events import message_of
from knarr.status.core.position import Position
from knarr.status.core.rows import EventRow
from knarr.status.ports import Message, PendingPurge


def message_of_stream(found: Received) -> Message:
    """A message of the one consuming loop, as the flows take it."""
    context = trace.get_current_span(extract(found.headers)).get_span_context()
    return Message(
        subject=found.subject,
        position=Position(stream_created=found.stream_created, sequence=found.sequence),
        stored_at_ms=int(found.stored_at * 1000),
        value=found.value,
        trace_id=format(context.trace_id, "032x") if context.is_valid else "",
    )


@contextlib.contextmanager
def translated(stream: str) -> Iterator[None]:
    """nats-py's errors as numbered ones."""
    try:
        yield
    except nats.js.errors.NotFoundError as error:
        raise retryable("KNR5006", f"stream {stream} is missing") from error
    except (nats.errors.Error, nats.js.errors.Error, OSError, TimeoutError) as error:
        raise retryable("KNR7011", f"{stream}: {type(error).__name__}") from error


class BrokerTeller:
    """Teller, Plans and ReportStream over one broker. `readers`: durables of REPORTS that must have read a removal."""

    def __init__(self, broker: Broker, readers: tuple[str, ...]) -> None:
        self._broker = broker
        self._readers = readers

    async def tell_event(self, row: EventRow) -> None:
        """De-duplicated by the broker within its window; readers compare ids beyond it."""
        payload, headers = to_wire(message_of(row))
        headers["Nats-Msg-Id"] = row.event_id
        await self._broker.publish_bytes(event_subject(row.kind), payload, headers=headers)

    async def tell_facts(self, facts: ClusterFacts) -> None:
        """Newest per cluster."""
        await self._broker.publish(facts_subject(facts.cluster), facts)

    async def command(self, command: Command) -> None:
        """To rollout's work queue."""
        payload, headers = to_wire(command)
        headers["Nats-Msg-Id"] = command.command_id
        await self._broker.publish_bytes(command_subject(command.verb.value), payload, headers=headers)

    async def facts_told(self) -> int:
        """How many clusters' facts the stream holds."""
        with translated(FACTS):
            return int((await self._broker.jetstream().stream_info(FACTS)).state.messages)

    async def newest_plan(self, cluster: str) -> PlanReport | None:
        """None when no agent of that name has ever answered one."""
        found = await self._broker.newest(REPORTS, report_plan_subject(cluster), PlanReport)
        return found.value if found is not None else None

    async def purge_if_read(self, purge: PendingPurge) -> bool:
        """Purges the subject up to the removal once every reader is past it; False: not yet."""
        with translated(REPORTS):
            if await stream_created(self._broker, REPORTS) != purge.position.stream_created:
                return True
            for reader in self._readers:
                if not await self._is_past(reader, purge.position.sequence):
                    return False
            subject = report_app_subject(purge.cluster, purge.app)
            await self._broker.jetstream().purge_stream(REPORTS, seq=purge.position.sequence + 1, subject=subject)
            return True

    async def newest_report(self, cluster: str, app: str) -> Message | None:
        """The newest word of a cluster on an app; None when the stream holds none (any more)."""
        created = await stream_created(self._broker, REPORTS)
        found = await self._broker.newest(REPORTS, report_app_subject(cluster, app), AppReport)
        if found is None or await stream_created(self._broker, REPORTS) != created:
            return None
        stored_at = found.time.timestamp() if found.time is not None else time.time()
        return Message(
            subject=found.subject,
            position=Position(stream_created=created, sequence=found.sequence),
            stored_at_ms=int(stored_at * 1000),
            value=found.value,
        )

    async def apps_reported(self, cluster: str) -> tuple[frozenset[str], int]:
        """The apps, known or not, on whose subjects the cluster has reported, and the stream's last sequence before."""
        with translated(REPORTS):
            last = (await self._broker.jetstream().stream_info(REPORTS)).state.last_seq
        found = await self._broker.subjects_of(REPORTS, report_app_subject(cluster, "*"))
        return frozenset(subject.rpartition(".")[2] for subject in found), int(last)

    async def purge_reports_if_read(self, cluster: str, sequence: int) -> bool:
        """All that the cluster said of any app up to `sequence` goes, once every reader is past it; False: not yet."""
        with translated(REPORTS):
            for reader in self._readers:
                if not await self._is_past(reader, sequence):
                    return False
        await self.purge_report(cluster, "*", sequence)
        return True

    async def purge_report(self, cluster: str, app: str, sequence: int) -> None:
        """What the cluster said of the app up to `sequence` goes; a newer word stays."""
        with translated(REPORTS):
            subject = report_app_subject(cluster, app)
            await self._broker.jetstream().purge_stream(REPORTS, seq=sequence + 1, subject=subject)

    async def _is_past(self, reader: str, sequence: int) -> bool:
        try:
            info = await self._broker.jetstream().consumer_info(REPORTS, reader)
        except nats.js.errors.NotFoundError:
            return False
        idle = info.num_pending == 0 and info.num_ack_pending == 0
        return idle or (info.ack_floor is not None and info.ack_floor.stream_seq >= sequence)
