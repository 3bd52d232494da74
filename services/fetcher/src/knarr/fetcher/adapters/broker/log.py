"""What the others are told: commits and the state of sources."""

from __future__ import annotations

from knarr.fetcher.ports import Published
from knarr.messaging.broker import Broker, Outdated
from knarr.messaging.envelope import from_wire
from knarr.messaging.streams import COMMITS, SOURCES
from knarr.messaging.subjects import commit_observed_subject, commit_subject, source_subject
from knarr.pipeline.errors import Rejected
from knarr.pipeline.snapshot import CommitObserved, SnapshotStored, SourceReported


class CommitLog:
    """The port `Log`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def newest(self, source: str) -> Published:
        """See ports.Log. A message that cannot be read still has its place, and is replaced by the next one."""
        found = await self._broker.newest_bytes(COMMITS, commit_subject(source))
        if found is None:
            return Published()
        try:
            snapshot = from_wire((SnapshotStored,), found.value, found.headers)
        except Rejected:
            snapshot = None
        return Published(sequence=found.sequence, snapshot=snapshot)

    async def observed(self, observed: CommitObserved) -> None:
        """See ports.Log."""
        assert observed.commit is not None
        await self._broker.publish(commit_observed_subject(observed.commit.source), observed)

    async def stored(self, snapshot: SnapshotStored, after: int) -> bool:
        """See ports.Log."""
        assert snapshot.commit is not None
        try:
            await self._broker.publish(commit_subject(snapshot.commit.source), snapshot, expect_last=after)
        except Outdated:
            return False
        return True

    async def newest_report(self, source: str) -> SourceReported | None:
        """See ports.Log."""
        try:
            found = await self._broker.newest(SOURCES, source_subject(source), SourceReported)
        except Rejected:
            return None
        return found.value if found else None

    async def report(self, report: SourceReported) -> None:
        """See ports.Log."""
        await self._broker.publish(source_subject(report.source), report)
