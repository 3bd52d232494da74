"""From the state to signed assignments in the stream. Publishing twice equals once."""

from __future__ import annotations

from dataclasses import dataclass

from nacl.signing import SigningKey

from knarr.bundle.sealing import MasterKey, content_key
from knarr.bundle.signing import sign_assignment
from knarr.messaging.tracing import TRACER
from knarr.pipeline.assignment import AssignmentHeader, BodyEncoding, DryRun
from knarr.pipeline.decision import RolloutDecided
from knarr.rollout.core.assignment import body_for, placements_by_cluster
from knarr.rollout.core.state import FleetState
from knarr.rollout.ports import Outbox, OutgoingAssignment, Store
from knarr.service.waiting import all_of

_SIGN_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What makes an assignment ours. Kept together; losing it makes a new installation."""

    epoch: str
    signer: SigningKey
    bundle_master: MasterKey


class Dispatcher:
    """Signs, seals and publishes."""

    def __init__(self, store: Store, outbox: Outbox, authority: Authority) -> None:
        self._store = store
        self._outbox = outbox
        self._authority = authority

    async def publish(
        self, state: FleetState, outgoing: list[OutgoingAssignment], decisions: list[RolloutDecided]
    ) -> None:
        """Sends assignments, then decisions, then marks both as published."""
        if outgoing:
            await self.send(state, outgoing)
        for decision in decisions:
            await self._outbox.decided(decision)
        if outgoing or decisions:
            await self._store.mark_published([o.cluster for o in outgoing], [d.number for d in decisions])

    async def send(
        self, state: FleetState, outgoing: list[OutgoingAssignment], dry_runs: tuple[DryRun, ...] = ()
    ) -> None:
        """Assignments only. A cluster that has never reported cannot be sealed for, and waits for its report."""
        by_cluster = placements_by_cluster(state, [o.cluster for o in outgoing])
        with TRACER.start_as_current_span("sign and publish") as span:
            span.set_attribute("knarr.assignments", len(outgoing))
            able = [out for out in outgoing if state.members[out.cluster].enrolled]
            for start in range(0, len(able), _SIGN_AT_ONCE):
                sending = [
                    self._outbox.assignment(out.cluster, self._signed(state, out, by_cluster[out.cluster], dry_runs))
                    for out in able[start : start + _SIGN_AT_ONCE]
                ]
                await all_of(sending)

    def _signed(
        self, state: FleetState, out: OutgoingAssignment, apps: list[str], dry_runs: tuple[DryRun, ...]
    ) -> bytes:
        member = state.members[out.cluster]
        header = AssignmentHeader(
            epoch=self._authority.epoch,
            cluster=out.cluster,
            cluster_uid=member.uid,
            generation=member.generation,
            body_encoding=BodyEncoding.SEALED_BOX,
        )
        body = body_for(
            state,
            out.cluster,
            apps,
            key_of=lambda digest: content_key(self._authority.bundle_master, digest),
            spread_seconds=out.spread_seconds,
            traceparent=out.traceparent,
            dry_runs=dry_runs,
        )
        return sign_assignment(header, body, recipient=member.sealing_key, signer=self._authority.signer)
