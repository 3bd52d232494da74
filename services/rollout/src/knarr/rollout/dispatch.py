"""From the state to signed assignments in the stream. Publishing twice equals once.

An assignment is published over the sequence that this process expects there: one that an older leader sends late cannot
replace a newer one. What fails for one cluster fails for that cluster.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace

import structlog
from nacl.signing import SigningKey

from knarr.bundle.sealing import MasterKey, content_key
from knarr.bundle.signing import sign_assignment, verify_assignment
from knarr.messaging.tracing import TRACER
from knarr.pipeline.assignment import AssignmentHeader, BodyEncoding
from knarr.pipeline.errors import KnarrError, Rejected
from knarr.rollout import metrics
from knarr.rollout.core.assignment import body_for
from knarr.rollout.core.changes import OutgoingAssignment
from knarr.rollout.core.state import FleetState
from knarr.rollout.ports import Outbox, Outdated, Store, Unpublished
from knarr.service.waiting import all_of

LOG = structlog.get_logger("knarr.rollout")
_SIGN_AT_ONCE = 64
_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What makes an assignment ours. Kept together; losing it makes a new installation."""

    epoch: str
    signer: SigningKey
    bundle_master: MasterKey


class Dispatcher:
    """Signs, seals and publishes. Knows the sequence of every assignment that it has stored."""

    def __init__(self, store: Store, outbox: Outbox, authority: Authority) -> None:
        self._store = store
        self._outbox = outbox
        self._authority = authority
        self._sequences: dict[str, int] = {}

    async def publish(self, state: FleetState, waiting: Unpublished) -> frozenset[str]:
        """Sends assignments, then decisions and answers, then marks them as published.

        The clusters that did not get theirs, and whose turn comes again.
        """
        behind = await self._send(state, waiting.outgoing) if waiting.outgoing else frozenset()
        for decision in waiting.decisions:
            await self._said(self._outbox.decided(decision))
        for answer in waiting.answers:
            await self._said(self._outbox.handled(answer))
        if waiting.outgoing or waiting.decisions or waiting.answers:
            sent = tuple(out for out in waiting.outgoing if out.cluster not in behind)
            await self._store.mark_published(replace(waiting, outgoing=sent))
        return behind

    async def _said(self, publishing: Awaitable[None]) -> None:
        """What the broker will never take must not keep back what follows."""
        try:
            await publishing
        except Rejected as error:
            metrics.UNSAID.inc()
            LOG.error("a decision is too much for the broker", code=error.code, error=error.message)

    async def _send(self, state: FleetState, outgoing: tuple[OutgoingAssignment, ...]) -> frozenset[str]:
        """A cluster that has never reported cannot be sealed for, and waits for its report. Who is behind."""
        behind: set[str] = set()
        with TRACER.start_as_current_span("sign and publish") as span:
            span.set_attribute("knarr.assignments", len(outgoing))
            able = [out for out in outgoing if out.cluster in state.members and state.members[out.cluster].enrolled]
            for start in range(0, len(able), _SIGN_AT_ONCE):
                signed = [(out, self._signed(state, out)) for out in able[start : start + _SIGN_AT_ONCE]]
                sending = [(out.cluster, data) for out, data in signed if data is not None]
                settled = await all_of(self._store_signed(state, cluster, data) for cluster, data in sending)
                behind |= {cluster for (cluster, _), done in zip(sending, settled, strict=True) if not done}
        return frozenset(behind)

    def _signed(self, state: FleetState, out: OutgoingAssignment) -> bytes | None:
        """None when it cannot be sealed for this cluster: that is this cluster's trouble only (I5)."""
        member = state.members[out.cluster]
        header = AssignmentHeader(
            epoch=self._authority.epoch,
            cluster=out.cluster,
            cluster_uid=member.uid,
            generation=member.generation,
            body_encoding=BodyEncoding.SEALED_BOX,
        )
        body = body_for(state, out, key_of=lambda digest: content_key(self._authority.bundle_master, digest))
        try:
            return sign_assignment(header, body, recipient=member.sealing_key, signer=self._authority.signer)
        except Exception:
            metrics.UNSEALED.inc()
            LOG.exception("an assignment cannot be sealed", cluster=out.cluster, code="KNR3024")
            return None

    async def _store_signed(self, state: FleetState, cluster: str, data: bytes) -> bool:
        """Whether that is over; False when the cluster's turn has to come again."""
        expected = self._sequences.get(cluster)
        for _ in range(_TRIES):
            if expected is None:
                expected = await self._sequence_below(cluster, state.members[cluster].generation)
                if expected is None:
                    return True
            try:
                self._sequences[cluster] = await self._outbox.assignment(cluster, data, expect=expected)
            except Outdated:
                expected = None
                continue
            except Rejected as error:
                metrics.UNSEALED.inc()
                LOG.error("an assignment is too large", cluster=cluster, code=error.code)
            return True
        metrics.UNSEALED.inc()
        LOG.warning("somebody else writes assignments of a cluster at the same time", cluster=cluster, code="KNR7011")
        return False

    async def _sequence_below(self, cluster: str, generation: int) -> int | None:
        """The sequence of what is stored now; None when that is ours and newer, and stays.

        Then another process leads (KNR3042), or this hub was restored from an older copy: its cluster will say so.
        """
        stored = await self._outbox.newest_assignment(cluster)
        if stored is None:
            return 0
        data, sequence = stored
        if self._generation_of(data, cluster) <= generation:
            return sequence
        await self._store.check_lead()
        LOG.warning("a newer assignment is stored", cluster=cluster, generation=generation)
        return None

    def _generation_of(self, data: bytes, cluster: str) -> int:
        """Of an assignment that we signed for the cluster; -1 of anything else that lies there."""
        try:
            header, _ = verify_assignment(data, trusted=(bytes(self._authority.signer.verify_key),))
        except KnarrError:
            return -1
        ours = header.epoch == self._authority.epoch and header.cluster == cluster
        return header.generation if ours else -1
