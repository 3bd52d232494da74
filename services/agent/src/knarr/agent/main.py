"""The agent's parts list: one agent per process, or (host.py) several in one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing

from knarr.agent.adapters.nats import NatsHub
from knarr.agent.adapters.simulated import outside
from knarr.agent.adapters.simulated.cluster import SimulatedCluster
from knarr.agent.adapters.simulated.store import FolderStore
from knarr.agent.agent import Agent, Identity
from knarr.agent.metrics import publish_metrics
from knarr.agent.ports import Cluster, Expressions, Store
from knarr.agent.settings import AgentSettings, from_environment
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.service.health import health_server
from knarr.service.process import run_service


@asynccontextmanager
async def agent_of(settings: AgentSettings) -> AsyncIterator[Agent]:
    """An agent with its connections open, ready to run."""
    async with AsyncExitStack() as stack:
        cluster, store = await stack.enter_async_context(_cluster_of(settings))
        broker = await stack.enter_async_context(Broker(_broker_settings(settings)))
        hub = NatsHub(broker, settings.cluster)
        await hub.start()
        identity = Identity(
            cluster=settings.cluster,
            trust=settings.trust(),
            namespace=settings.namespace,
            adopt=settings.adopt,
            labels=settings.labels,
            trace_share=settings.trace_share,
            heartbeat_seconds=settings.heartbeat_seconds,
            budget=settings.budget,
        )
        yield Agent(identity=identity, cluster=cluster, store=store, hub=hub, expressions=load_expressions)


def load_expressions() -> Expressions:
    """The library is large: it is imported when the first app brings a rule."""
    from knarr.agent.adapters.cel import CelExpressions

    return CelExpressions()


@asynccontextmanager
async def _cluster_of(settings: AgentSettings) -> AsyncIterator[tuple[Cluster, Store]]:
    if settings.simulated_dir is not None:
        folder = settings.simulated_dir
        async with SimulatedCluster(folder, ready_after_seconds=settings.ready_after_seconds) as simulated:
            with closing(FolderStore(folder / "agent")) as store:
                yield simulated, store
        return
    from knarr.agent.adapters.kubernetes import KubernetesCluster, SecretStore, credentials

    given = await credentials(settings.kubeconfig, settings.context)
    async with KubernetesCluster(given, requests_at_once=settings.requests_at_once) as kubernetes:
        yield kubernetes, SecretStore(kubernetes, settings.namespace)


def _broker_settings(settings: AgentSettings) -> BrokerSettings:
    return BrokerSettings(
        urls=settings.nats_urls,
        name=f"agent-{settings.cluster}",
        nkey_seed=settings.nkey_seed(),
        inbox_prefix=f"_INBOX_{settings.cluster}",
    )


async def _main() -> None:
    settings = from_environment(os.environ)
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(agent_of(settings))
        stack.callback(publish_metrics(lambda: [agent]))
        if settings.listen:
            ready = {"agent": lambda: "" if agent.started.is_set() else "not started yet"}
            await stack.enter_async_context(health_server(settings.listen, ready))
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        if settings.simulated_dir is not None and isinstance(agent.cluster, SimulatedCluster):
            outside.prepare(settings.simulated_dir, agent.cluster)
            tasks.create_task(outside.attend({settings.simulated_dir: agent.cluster}), name="outside")
        tasks.create_task(agent.run(), name="agent")


def serve_one() -> int:
    """Runs the agent of the environment until signalled; the exit code."""
    return run_service("agent", _main)
