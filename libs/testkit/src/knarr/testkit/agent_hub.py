"""The hub's side of an agent, for tests of the agent alone: signs and seals real assignments, keeps reports.

`MemoryHub` is the agent's `Hub` port in memory; its conformance suite is knarr.testkit.hub_conformance, which also runs
on the real adapter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nacl.signing import SigningKey

from knarr.agent.ports import Delivered, Hint, Report
from knarr.bundle.header import Header
from knarr.bundle.packing import Bundle, make_bundle, pack
from knarr.bundle.sealing import MasterKey, Sealed, content_key, seal
from knarr.bundle.signing import sign_assignment
from knarr.pipeline.assignment import (
    Approval,
    AssignedApp,
    AssignmentBody,
    AssignmentHeader,
    BodyEncoding,
    DryRun,
    Tombstone,
)
from knarr.pipeline.errors import retryable
from knarr.pipeline.report import AppReport, ClusterReport, PlanReport

MASTER = MasterKey(b"m" * 32)
EPOCH = "0f0f0f0f"


def bundle_of(app: str, *objects: Mapping[str, Any], **policy: Any) -> Bundle:
    """A bundle as the renderer makes it."""
    return make_bundle(Header(app=app, **policy), objects)


def assigned(bundle: Bundle, **changes: Any) -> tuple[AssignedApp, Sealed]:
    """How rollout assigns it, and what lies in BLOBS."""
    sealed = seal(MASTER, pack(bundle))
    app = AssignedApp(
        app=bundle.header.app,
        digest=sealed.digest,
        address=sealed.address,
        key=content_key(MASTER, sealed.digest),
        plain_size=sealed.plain_size,
        object_count=len(bundle.objects),
        chunk_count=len(sealed.chunks),
        sealed_size=len(sealed.data),
    )
    return replace(app, **changes), sealed


@dataclass(slots=True)
class MemoryHub:
    """The `Hub` port. `offline` makes every call fail as a broker that is away."""

    cluster: str
    offline: bool = False
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    history: list[Report] = field(default_factory=list)
    blob_reads: int = 0
    assignment_reads: int = 0
    read: asyncio.Event = field(default_factory=asyncio.Event)
    sequence: int = 0
    newest: Delivered | None = None
    _report_sequence: int = 0
    _hinted: asyncio.Event = field(default_factory=asyncio.Event)
    _hint: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def newest_assignment(self) -> Delivered | None:
        """See the port."""
        self._check()
        self.assignment_reads += 1
        self.read.set()
        return self.newest

    async def blob(self, app: AssignedApp) -> bytes:
        """See the port."""
        self._check()
        self.blob_reads += 1
        if app.address not in self.blobs:
            raise retryable("KNR7013", "the blob is not there")
        return self.blobs[app.address]

    async def report(self, report: Report) -> int:
        """See the port."""
        self._check()
        self.reports[_subject(report)] = report
        self.history.append(report)
        self._report_sequence += 1
        self._arrived.set()
        return self._report_sequence

    async def next_hint(self) -> Hint:
        """See the port."""
        await self._hinted.wait()
        self._hinted.clear()
        return Hint(sequence=self._hint)

    # --- the hub's side ------------------------------------------------------------

    def store(self, data: bytes) -> None:
        """Stores an assignment and hints at it."""
        self.sequence += 1
        self.newest = Delivered(data=data, sequence=self.sequence)
        self.hint(self.sequence)

    def hint(self, sequence: int) -> None:
        """A hint, true or not."""
        self._hint = sequence
        self._hinted.set()

    def begin_again(self) -> None:
        """The stream of reports was deleted and made again."""
        self._report_sequence = 0
        self.reports.clear()

    def app(self, name: str) -> AppReport | None:
        """The newest report of an app."""
        found = self.reports.get(f"app {name}")
        return found if isinstance(found, AppReport) else None

    def cluster_report(self) -> ClusterReport | None:
        """The newest report of the cluster."""
        found = self.reports.get("cluster")
        return found if isinstance(found, ClusterReport) else None

    async def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        """Waits until something holds of the reports."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._arrived.clear()
                if holds():
                    return
                await self._arrived.wait()

    def _check(self) -> None:
        if self.offline:
            raise retryable("KNR7010", "the hub is away")


def _subject(report: Report) -> str:
    if isinstance(report, AppReport):
        return f"app {report.app}"
    return f"plan {report.request_id}" if isinstance(report, PlanReport) else "cluster"


@dataclass(slots=True)
class Assigner:
    """Rollout's part: makes signed assignments with growing generations."""

    cluster: str
    cluster_uid: str
    recipient: bytes
    signer: SigningKey = field(default_factory=lambda: SigningKey(b"s" * 32))
    epoch: str = EPOCH
    generation: int = 0
    digests: dict[str, bytes] = field(default_factory=dict)
    removals: dict[str, int] = field(default_factory=dict)

    def removal(self, app: str, **changes: Any) -> Approval:
        """The approval of a removal that the next assignment asks for, or that an earlier one asked for already."""
        since = self.removals.get(app, self.generation + 1)
        approval = Approval(app=app, digest=self.digests.get(app, b""), removal=True, since_generation=since)
        return replace(approval, **changes)

    def signed(
        self,
        apps: Iterable[AssignedApp] = (),
        *,
        tombstones: Iterable[str] = (),
        approvals: tuple[Approval, ...] = (),
        requires: tuple[str, ...] = (),
        dry_runs: tuple[DryRun, ...] = (),
        keep_objects: bool = False,
        **header: Any,
    ) -> bytes:
        """The bytes of the next assignment; `header` replaces fields of its header."""
        self.generation += 1
        apps, tombstones = tuple(apps), tuple(tombstones)
        self.digests |= {a.app: a.digest for a in apps}
        self.removals = {t: self.removals.get(t, self.generation) for t in tombstones}
        values = {"epoch": self.epoch, "cluster": self.cluster, "cluster_uid": self.cluster_uid}
        top = AssignmentHeader(
            **{**values, "generation": self.generation, "body_encoding": BodyEncoding.SEALED_BOX, **header}
        )
        body = AssignmentBody(
            apps=apps,
            tombstones=tuple(
                Tombstone(app=t, since_generation=since, keep_objects=keep_objects)
                for t, since in self.removals.items()
            ),
            approvals=approvals,
            requires=requires,
            dry_runs=dry_runs,
        )
        return sign_assignment(top, body, recipient=self.recipient, signer=self.signer)
