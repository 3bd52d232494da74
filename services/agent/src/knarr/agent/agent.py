"""One agent, put together from its ports: what `main` and `host` run, and what tests run with their own ports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from knarr.agent.about import About
from knarr.agent.core.receive import FEATURES, Pinned
from knarr.agent.deliver import Tracer
from knarr.agent.judge import Judge
from knarr.agent.keeping import Keeper
from knarr.agent.load import Loader
from knarr.agent.ports import Cluster, Expressions, Hub, Store
from knarr.agent.publish import Publisher
from knarr.agent.receive import Opened, Receiver
from knarr.agent.reconcile import Parts, Reconciler
from knarr.agent.start import Memory, Trust, remember
from knarr.agent.tell import Teller
from knarr.bundle.budget import Budget
from knarr.bundle.signing import sign_sealing_key
from knarr.pipeline.digest import sha256
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import AGENT_NAMESPACE
from knarr.pipeline.report import AppState, ClusterReport
from knarr.pipeline.state_digest import state_digest

LOG = structlog.get_logger("knarr.agent")
VERSION = "0.1.0"
_BUDGET = Budget()
_HOOKS = b"knarr/hook-runs/v1\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this agent is and whom it obeys. `budget`: the cluster owner's limits on deletions."""

    cluster: str
    trust: Trust
    namespace: str = AGENT_NAMESPACE
    adopt: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    trace_share: float = 1.0
    heartbeat_seconds: float = 60.0
    budget: Budget = _BUDGET


@dataclass(slots=True, kw_only=True)
class Agent:
    """`run` lives until cancelled. The other members are for `readyz`, tests and benchmarks."""

    identity: Identity
    cluster: Cluster
    store: Store
    hub: Hub
    expressions: Callable[[], Expressions]
    clock: Callable[[], float] = time.time
    reconciler: Reconciler | None = None
    publisher: Publisher | None = None
    keeper: Keeper | None = None
    loader: Loader | None = None
    _refused: Failure | None = None
    _about: About | None = None
    _generation_applied: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """KNR4006 or KNR4008 when the stored state must not be used; else until cancelled."""
        known = await self.cluster.identity()
        memory = await remember(
            self.store,
            self.identity.trust,
            cluster=self.identity.cluster,
            cluster_uid=known.uid,
            adopt=self.identity.adopt,
        )
        self._generation_applied = memory.pin.generation_applied
        async with asyncio.TaskGroup() as tasks:
            reconciler = self._assemble(tasks, memory)
            assert self.publisher is not None
            self._about = About(self.cluster, known, self.publisher.cluster)
            await self._about.look()  # so that the first report is whole
            tasks.create_task(self._about.run(), name="about")
            await reconciler.tidy()
            reconciler.obey(memory.intent, restarted=True)
            tasks.create_task(reconciler.run(), name="reconcile")
            tasks.create_task(self.publisher.run(), name="publish")
            tasks.create_task(self._receiver(memory).run(), name="receive")
            tasks.create_task(reconciler.agenda.rests(reconciler.rest), name="thrift")
            self.started.set()

    def _assemble(self, tasks: asyncio.TaskGroup, memory: Memory) -> Reconciler:
        self.keeper, self.loader = Keeper(self.store), Loader(self.hub, self.store)
        self.publisher = Publisher(
            hub=self.hub,
            compose=lambda: self._cluster_report(memory),
            everything=lambda: teller.everything(),
            heartbeat_seconds=self.identity.heartbeat_seconds,
        )
        teller = Teller(
            cluster=self.identity.cluster,
            epoch=memory.pin.epoch,
            publisher=self.publisher,
            tracer=Tracer(cluster=self.identity.cluster, share=self.identity.trace_share),
            clock=self.clock,
        )
        parts = Parts(
            cluster=self.cluster,
            keeper=self.keeper,
            loader=self.loader,
            teller=teller,
            clock=self.clock,
            judge=Judge(self.expressions),
            own_namespace=self.identity.namespace,
            hook_secret=sha256(_HOOKS + bytes(memory.signing)),
            budget=self.identity.budget,
        )
        self.reconciler = Reconciler(parts, tasks, memory.pin, memory.records)
        return self.reconciler

    def _receiver(self, memory: Memory) -> Receiver:
        reconciler = self.reconciler
        assert reconciler is not None

        def pinned() -> Pinned:
            pin = reconciler.pin
            return Pinned(
                cluster=self.identity.cluster,
                cluster_uid=pin.cluster_uid,
                epoch=pin.epoch,
                generation=pin.generation,
            )

        async def accept(opened: Opened) -> None:
            await reconciler.accept(opened)

        return Receiver(
            hub=self.hub,
            trusted=self.identity.trust.keys,
            private=memory.sealing,
            pinned=pinned,
            accept=accept,
            refused=self._refuse,
        )

    def _refuse(self, failure: Failure | None) -> None:
        if failure != self._refused and self.publisher is not None:
            self.publisher.cluster()
        self._refused = failure

    def _cluster_report(self, memory: Memory) -> ClusterReport:
        reconciler = self.reconciler
        assert reconciler is not None
        about = self._about
        assert about is not None
        apps = reconciler.states()
        if reconciler.is_applied():
            self._generation_applied = reconciler.intent.generation
        return ClusterReport(
            cluster=self.identity.cluster,
            epoch=memory.pin.epoch,
            cluster_uid=memory.pin.cluster_uid,
            generation_seen=reconciler.pin.generation,
            generation_applied=self._generation_applied,
            agent_version=VERSION,
            start_number=memory.pin.start_number,
            kubernetes_version=about.version,
            capabilities=about.capabilities or (),
            capabilities_known=about.capabilities is not None,
            sealing_public_key=bytes(memory.sealing.public_key),
            signing_public_key=bytes(memory.signing.verify_key),
            sealing_key_signature=sign_sealing_key(
                memory.pin.cluster_uid, bytes(memory.sealing.public_key), signer=memory.signing
            ),
            state_digest=state_digest(apps),
            reported_at_ms=int(self.clock() * 1000),
            labels=dict(self.identity.labels),
            failures=(self._refused,) if self._refused else (),
            app_count=sum(a.state is not AppState.REMOVED for a in apps),
            features=FEATURES,
            fetches=self.loader.fetches if self.loader else 0,
            state_writes=self.keeper.writes if self.keeper else 0,
        )
