"""The parts list of the rollout process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from contextlib import AsyncExitStack

import structlog
from nacl.signing import SigningKey

from knarr.bundle.sealing import MasterKey
from knarr.messaging.broker import Broker
from knarr.messaging.consume import Received, Subscription, consume, consume_batches
from knarr.messaging.streams import COMMANDS, REPORTS, REVISIONS
from knarr.messaging.tracing import current_traceparent
from knarr.pipeline.decision import Command
from knarr.pipeline.errors import Retryable
from knarr.pipeline.report import AppReport, ClusterReport
from knarr.pipeline.revision import CommitRendered
from knarr.rollout.adapters.nats import NatsOutbox, NatsRevisions
from knarr.rollout.adapters.postgres.store import PostgresStore, leading_store
from knarr.rollout.decide import Rollout, World
from knarr.rollout.dispatch import Authority
from knarr.rollout.settings import Settings, read_settings
from knarr.service.health import health_server
from knarr.service.process import run_service
from knarr.service.waiting import all_of, end_if_cancelled

LOG = structlog.get_logger("knarr.rollout")
_SOON_SECONDS = 1.0


def main() -> int:
    """Runs until told to stop."""
    return run_service("rollout", lambda: serve(read_settings(os.environ)))


async def serve(settings: Settings) -> None:
    """Wires the parts and consumes until cancelled."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker(settings.broker))
        await stack.enter_async_context(
            health_server(settings.listen, {"broker": lambda: "" if broker.connected else "not connected"})
        )
        await broker.wait_connected(60.0)
        while True:
            try:
                await _lead(settings, broker)
            except Retryable as error:
                LOG.warning("not leading; trying again", code=error.code, error=error.message)
            await asyncio.sleep(random.uniform(0.3, 1.0))  # noqa: S311 - jitter


async def _lead(settings: Settings, broker: Broker) -> None:
    """Decides for as long as the database connection, and with it the lead, lasts. Ends with a Retryable."""
    async with leading_store(settings.dsn) as store:
        rollout = Rollout(await store.load(), _world(settings, broker, store))
        await all_of(
            (
                store.lost(),
                _mend(rollout, settings.check_seconds),
                consume(broker, _RENDERED, lambda m: _rendered(rollout, m)),
                consume(broker, _COMMANDS, lambda m: _command(rollout, m)),
                consume_batches(broker, _CLUSTERS, lambda ms: _clusters(rollout, ms)),
                consume_batches(broker, _APPS, lambda ms: _apps(rollout, ms)),
            )
        )


def _world(settings: Settings, broker: Broker, store: PostgresStore) -> World:
    return World(
        store=store,
        outbox=NatsOutbox(broker),
        revisions=NatsRevisions(broker),
        authority=Authority(
            epoch=settings.epoch,
            signer=SigningKey(settings.signing_seed),
            bundle_master=MasterKey(settings.bundle_master),
        ),
        now_ms=lambda: int(time.time() * 1000),
        traceparent=current_traceparent,
    )


_RENDERED = Subscription(
    stream=REVISIONS,
    durable="rollout-rendered",
    filters=("rendered.*",),
    kinds=(CommitRendered,),
    service="rollout",
    stage="decide",
)
_COMMANDS = Subscription(
    stream=COMMANDS, durable="rollout", filters=("command.*",), kinds=(Command,), service="rollout"
)
_CLUSTERS = Subscription(
    stream=REPORTS,
    durable="rollout-clusters",
    filters=("report.*.cluster",),
    kinds=(ClusterReport,),
    service="rollout",
    batch=256,
    quiet=True,
)
_APPS = Subscription(
    stream=REPORTS,
    durable="rollout-apps",
    filters=("report.*.app.*",),
    kinds=(AppReport,),
    service="rollout",
    batch=500,
    quiet=True,
)


async def _rendered(rollout: Rollout, message: Received) -> None:
    decision = await rollout.on_rendered(message.value)
    if decision is None:
        return
    LOG.info(
        "commit decided",
        source=decision.commit.source if decision.commit else "",
        assignments=len(decision.assignments),
        apps={a.app: a.verdict.value for a in decision.apps},
    )


async def _command(rollout: Rollout, message: Received) -> None:
    outcome = await rollout.on_command(message.value)
    LOG.info("command handled", verb=message.value.verb.value, accepted=outcome.accepted)


async def _clusters(rollout: Rollout, messages: list[Received]) -> None:
    await rollout.on_cluster_reports([m.value for m in messages if _of_its_subject(m)])


async def _apps(rollout: Rollout, messages: list[Received]) -> None:
    await rollout.on_app_reports([m.value for m in messages if _of_its_subject(m)])


def _of_its_subject(message: Received) -> bool:
    """The broker proves the subject's cluster, not the one in the body: they must be the same."""
    if message.value.cluster == message.subject.split(".")[1]:
        return True
    LOG.warning("report speaks for another cluster", subject=message.subject, claims=message.value.cluster[:63])
    return False


async def _mend(rollout: Rollout, seconds: float) -> None:
    """Publishes what a crash, a lost stream or a silent broker left unpublished; tells rollout that it got later."""
    while True:
        pause = seconds
        try:
            sent = await rollout.publish_what_is_missing()
            if sent:
                LOG.info("assignments published again", count=sent)
            await rollout.on_time()
        except Retryable as error:
            if error.code == "KNR3042":
                raise
            LOG.warning("cannot check the assignments", code=error.code, error=error.message)
            pause = _SOON_SECONDS
        end_if_cancelled()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await rollout.unpublished.wait()
                await asyncio.sleep(_SOON_SECONDS)
        end_if_cancelled()
