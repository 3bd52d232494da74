"""The renderer as a process: a list of its parts. `python -m knarr.renderer`."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import nats.errors
import nats.js.errors
import structlog

from knarr.bundle.disk import DiskSeal
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.consume import Received, Subscription, consume, consume_batches
from knarr.messaging.streams import BLOBS, COMMITS, FACTS, REVISIONS
from knarr.pipeline.errors import KnarrError, Retryable, rejected
from knarr.pipeline.names import FLEET_SOURCE, SourceName
from knarr.pipeline.revision import ClusterFacts, CommitRendered
from knarr.pipeline.snapshot import SnapshotStored
from knarr.renderer.adapters.cache import FolderCache
from knarr.renderer.adapters.contents import ContentStore
from knarr.renderer.adapters.helm import Helm
from knarr.renderer.adapters.jsonnet import Jsonnet
from knarr.renderer.adapters.kustomize import Kustomize
from knarr.renderer.adapters.nats_bundles import NatsBundles
from knarr.renderer.adapters.nats_facts import NatsFacts
from knarr.renderer.adapters.nats_revisions import NatsRevisions
from knarr.renderer.adapters.nats_snapshots import NatsSnapshots
from knarr.renderer.adapters.sandbox.box import Sandbox, unconfined_because
from knarr.renderer.app import AppRenderer
from knarr.renderer.hands import Hands
from knarr.renderer.ports import Tool
from knarr.renderer.raws import Raws
from knarr.renderer.render import Parts, Renderer, late_sources
from knarr.renderer.settings import Settings, read_settings
from knarr.renderer.turns import Turns
from knarr.service.health import health_server
from knarr.service.process import run_service
from knarr.service.waiting import all_of

LOG = structlog.get_logger("knarr.renderer")
_PATIENCE_SECONDS = 3.0  # for apps of other sources, once a commit's own are done
_OVERTAKEN = 3
_COMMITS = Subscription(
    stream=COMMITS,
    durable="renderer",
    filters=("commit.*",),
    kinds=(SnapshotStored,),
    service="renderer",
    stage="render",
    batch=1,
)


async def run(settings: Settings) -> None:
    """Runs until cancelled."""
    confined = _confined(settings)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(
            Broker(
                BrokerSettings(
                    urls=settings.nats_urls,
                    name="renderer",
                    nkey_seed=settings.nkey_seed,
                    inbox_prefix="_INBOX_renderer",
                )
            )
        )
        work = settings.state / "work"
        # Files for tools are not sealed: what a killed process left of them goes, and what earlier versions kept.
        for left in (work, settings.state / "cache", settings.state / "contents"):
            await asyncio.to_thread(shutil.rmtree, left, True)
        sandbox = await stack.enter_async_context(Sandbox(work, settings.limits, confined=confined))
        leaks = await sandbox.holds() if confined else ()
        if leaks:
            raise rejected("KNR2406", f"the sandbox of this host does not refuse: {', '.join(leaks)}")
        bundles = NatsBundles(broker, settings.bundle_key)
        cache = FolderCache(settings.state / "sealed-cache", DiskSeal(settings.bundle_key, "cache"))
        contents = ContentStore(settings.state / "sealed-contents", DiskSeal(settings.snapshot_key, "contents"))
        raws = Raws(_tools(settings, sandbox), cache, settings.limits)
        renderer = Renderer(
            Parts(
                snapshots=NatsSnapshots(broker, settings.snapshot_key, contents),
                facts=NatsFacts(broker),
                bundles=bundles,
                revisions=NatsRevisions(broker),
                raws=raws,
                apps=AppRenderer(raws, bundles, cache, settings.limits),
                limits=settings.limits,
                now_ms=lambda: int(time.time() * 1000),
                patience_seconds=_PATIENCE_SECONDS,
            )
        )
        stack.push_async_callback(renderer.close)
        ready = {"broker": lambda: "" if broker.connected else "not connected"}
        await stack.enter_async_context(health_server(settings.listen, ready))
        await _serve(broker, renderer, bundles, settings.check_seconds)


async def _serve(broker: Broker, renderer: Renderer, bundles: NatsBundles, check_seconds: float) -> None:
    turns = Turns()

    async def render(source: SourceName, *, commit: bool = False, again: bool = False) -> None:
        async with turns.of(source, commit=commit) as goes_on:
            if not goes_on:
                return
            await bundles.look()
            rendered = await _newest(renderer, source)
        late = late_sources(rendered)
        if late and not again:
            # Then the commit is closed once more, with what became of those that it did not wait for.
            await all_of(render(other, again=True) for other in late)
            await render(source, again=True)

    async def commit(received: Received) -> None:
        stored: SnapshotStored = received.value
        await render(SourceName(stored.commit.source if stored.commit else ""), commit=True)

    async def facts(_received: list[Received]) -> None:
        await render(FLEET_SOURCE)

    await all_of(
        (
            Hands(partial(consume, broker, _COMMITS)).work(commit),
            consume_batches(
                broker,
                Subscription(
                    stream=FACTS,
                    durable="renderer-facts",
                    filters=("facts.*",),
                    kinds=(ClusterFacts,),
                    service="renderer",
                    batch=1000,
                ),
                facts,
            ),
            _watch_streams(broker, lambda: render(FLEET_SOURCE), check_seconds),
        )
    )


async def _newest(renderer: Renderer, source: SourceName) -> CommitRendered:
    """What was overtaken is done again from the newest state, a few times at once."""
    for _ in range(_OVERTAKEN):
        try:
            return await renderer.render(source)
        except Retryable as error:
            if error.code != "KNR2603":
                raise
    return await renderer.render(source)


async def _watch_streams(broker: Broker, render_all: Callable[[], Awaitable[None]], check_seconds: float) -> None:
    """Publishes everything again when a stream that holds our results was made anew."""
    known = ""
    while True:
        await asyncio.sleep(check_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - jitter
        try:
            js = broker.jetstream()
            made = " ".join([str((await js.stream_info(name)).created) for name in (BLOBS, REVISIONS)])
            if known and made != known:
                LOG.warning("a stream was made anew; publishing everything again")
                await render_all()
            known = made
        except (KnarrError, nats.errors.Error, nats.js.errors.Error, TimeoutError) as error:
            LOG.warning("streams cannot be looked at", error=str(error)[:200])


def _tools(settings: Settings, sandbox: Sandbox) -> dict[str, Tool]:
    work = settings.state / "work"
    return {
        "kustomize": Kustomize(settings.kustomize, sandbox, work, settings.limits),
        "helm": Helm(sandbox, work),
        "jsonnet": Jsonnet(sandbox, work),
    }


def _confined(settings: Settings) -> bool:
    """Whether renderers are confined. KNR2406 on a host that cannot, unless the settings accept that; said at start."""
    because = unconfined_because()
    if not because:
        return True
    if not settings.allow_unconfined:
        raise rejected("KNR2406", f"this host cannot confine renderers: it lacks {because}")
    LOG.warning("renderers are NOT confined on this host", missing=because)
    return False


def main() -> int:
    """Reads settings and runs. Exit code 1 with numbered errors on stderr."""

    async def start() -> None:
        await run(read_settings(os.environ))

    return run_service("renderer", start)
