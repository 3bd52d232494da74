"""`make bench-agent`: what an idle agent costs: memory, memory per object, CPU."""

from __future__ import annotations

import asyncio
from typing import Any

from agent_lab import Lab, lab
from aiohttp import web
from apply import bundle
from figures import finish, say

from knarr.bundle.header import HealthRule
from knarr.local.ports import free_port
from knarr.pipeline.assignment import AssignedApp
from knarr.testkit.agent_hub import bundle_of

NAMESPACE = "bench"
SMALL, MIDDLE, LARGE = 75, 1250, 2500  # apps of 4 objects: 300, 5,000 and 10,000
IDLE_SECONDS = 30.0


async def receiver() -> tuple[web.AppRunner, int]:
    """Takes traces over OTLP/HTTP and forgets them."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b"", content_type="application/x-protobuf")

    application = web.Application(client_max_size=64_000_000)
    application.add_routes([web.post("/v1/traces", take)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, port


async def grown(made: Lab, apps: dict[str, AssignedApp], count: int) -> float:
    """Resident MiB once `count` apps are under watch and the agent has come to rest."""
    await made.assign((bundle(n, "1") for n in range(len(apps), count)), apps)
    await made.until(lambda: made.all_healthy(apps))
    await asyncio.sleep(5)
    rss = made.agent.rss_mib()
    say(f"{count * 4} objects: {rss:.1f} MiB")
    return rss


async def idle(made: Lab) -> float:
    """Percent of one core while nothing happens."""
    await asyncio.sleep(8)  # the second look after a connect is over
    before = made.agent.cpu_seconds()
    await asyncio.sleep(IDLE_SECONDS)
    return 100 * (made.agent.cpu_seconds() - before) / IDLE_SECONDS


async def with_rule(made: Lab, apps: dict[str, AssignedApp]) -> float:
    """Resident MiB when one app has a CEL health rule."""
    rule = HealthRule(kind="ConfigMap", healthy="has(object.data) && object.data.value == '1'")
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ruled", "namespace": NAMESPACE},
        "data": {"value": "1"},
    }
    await made.assign([bundle_of("ruled", config_map, namespace=NAMESPACE, health_rules=(rule,))], apps)
    await made.until(lambda: made.all_healthy(apps))
    await asyncio.sleep(2)
    return made.agent.rss_mib()


async def measure() -> dict[str, Any]:
    """The figures."""
    runner, port = await receiver()
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}
    try:
        async with lab(traces) as made:
            await made.kube.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            apps: dict[str, AssignedApp] = {}
            small = await grown(made, apps, SMALL)
            say(f"idle for {IDLE_SECONDS:.0f} s")
            cpu = await idle(made)
            say(f"{cpu:.2f} % of a core")
            middle = await grown(made, apps, MIDDLE)
            large = await grown(made, apps, LARGE)
            await made.agent.stop()
            await made.agent.start()
            await made.until(lambda: made.cluster_report is not None and made.cluster_report.start_number == 2)
            await asyncio.sleep(5)
            restarted = made.agent.rss_mib()
        async with lab(traces) as made:
            await made.kube.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            apps = {}
            await grown(made, apps, SMALL)
            ruled = await with_rule(made, apps)
        return {
            "rss_mib": round(small, 1),
            "rss_cel_mib": round(ruled, 1),
            "idle_cpu_percent": round(cpu, 3),
            "kib_per_object": round((large - small) * 1024 / ((LARGE - SMALL) * 4), 3),
            "kib_per_object_first_half": round((middle - small) * 1024 / ((MIDDLE - SMALL) * 4), 3),
            "kib_per_object_second_half": round((large - middle) * 1024 / ((LARGE - MIDDLE) * 4), 3),
            "rss_10000_mib": round(large, 1),
            "rss_10000_restarted_mib": round(restarted, 1),
        }
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    finish(asyncio.run(measure()))
