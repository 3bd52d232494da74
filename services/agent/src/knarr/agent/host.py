"""`python -m knarr.agent.host [CONFIG]`: many agents in one process, for the demo, `knarr up` and scale benchmarks.

CONFIG (or KNARR_AGENTS_FILE) has a line of JSON per agent (settings.from_line); KNARR_LISTEN serves health. One agent's
failure is its own: it is logged with its number and started again with back-off. A line "ready N" goes to stdout once N
agents run.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from knarr.agent.adapters.simulated import outside
from knarr.agent.adapters.simulated.cluster import SimulatedCluster
from knarr.agent.agent import Agent
from knarr.agent.main import agent_of
from knarr.agent.metrics import publish_metrics
from knarr.agent.settings import AgentSettings, from_line
from knarr.pipeline.errors import KnarrError
from knarr.service.health import health_server
from knarr.service.process import run_service

LOG = structlog.get_logger("knarr.agent.host")
_PAUSES = (1.0, 30.0)


async def host(settings: tuple[AgentSettings, ...], listen: str = "") -> None:
    """Runs all of them until cancelled."""
    simulated: dict[Path, SimulatedCluster] = {}
    started: dict[str, Agent] = {}

    def ready() -> str:
        return "" if len(started) == len(settings) else f"{len(started)} of {len(settings)} agents run"

    async with AsyncExitStack() as stack:
        stack.callback(publish_metrics(lambda: list(started.values())))
        if listen:
            await stack.enter_async_context(health_server(listen, {"agents": ready}))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(outside.attend(simulated), name="outside")
        for one in settings:
            group.create_task(_keep(one, simulated, started, len(settings)), name=f"keep-{one.cluster}")


async def _keep(
    one: AgentSettings, simulated: dict[Path, SimulatedCluster], started: dict[str, Agent], wanted: int
) -> None:
    pause = _PAUSES[0]
    while True:
        try:
            async with agent_of(one) as agent, asyncio.TaskGroup() as tasks:
                if one.simulated_dir is not None and isinstance(agent.cluster, SimulatedCluster):
                    outside.prepare(one.simulated_dir, agent.cluster)
                    simulated[one.simulated_dir] = agent.cluster
                tasks.create_task(agent.run(), name=f"agent-{one.cluster}")
                await agent.started.wait()
                started[one.cluster] = agent
                if len(started) == wanted:
                    gc.freeze()
                    print(f"ready {wanted}", flush=True)
        except* KnarrError as group:
            LOG.error("agent stopped", cluster=one.cluster, error=str(group.exceptions[0]))
        except* Exception:
            LOG.error("agent stopped in a way that must not be", cluster=one.cluster, exc_info=True)
        started.pop(one.cluster, None)
        if one.simulated_dir is not None:
            simulated.pop(one.simulated_dir, None)
        await asyncio.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311
        pause = min(_PAUSES[1], pause * 2)


def main(arguments: list[str]) -> int:
    """The exit code."""
    config = arguments[0] if arguments else os.environ.get("KNARR_AGENTS_FILE", "")
    if not config or len(arguments) > 1:
        print("usage: python -m knarr.agent.host CONFIG (or KNARR_AGENTS_FILE)", file=sys.stderr)
        return 2
    lines = Path(config).read_text().splitlines()
    # Thousands of agents are a large, lasting heap: looked through rarely, or it is all that the process does.
    gc.set_threshold(50_000, 20, 100)

    async def serve() -> None:
        settings = tuple(from_line(line) for line in lines if line.strip())
        await host(settings, os.environ.get("KNARR_LISTEN", ""))

    return run_service("agent", serve)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
