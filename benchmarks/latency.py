"""Commit (webhook) → applied in one real API server: 50 commits, plain and kustomize in turn.

The clock starts before the commit is pushed (a millisecond) and its webhook posted, and stops when a watch on the API
server shows the new value.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from figures import finish, percentile, say
from fleet_lab import FleetLab, fleet_lab

from knarr.cli.install.clusters import LocalCluster
from knarr.local.kube import KubeCluster, KubeFleet

_COMMITS = 50
_WARM = 4
_FLEET = "apiVersion: knarr.dev/v1\nkind: Fleet\nname: latency\nclusters: Enrolled\n"
_APP = "apiVersion: knarr.dev/v1\nkind: App\nnamespace: default\n"
_KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [config.yaml]\n"


def config(name: str, value: str) -> str:
    """A ConfigMap that carries the commit's number."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: '{value}'\n"


class Seen:
    """When each value was first seen at the API server, by a watch."""

    def __init__(self) -> None:
        self.at: dict[tuple[str, str], float] = {}
        self._changed = asyncio.Condition()

    async def follow(self, cluster: KubeCluster) -> None:
        """Until cancelled."""
        context = ssl.create_default_context(cafile=str(cluster.ca_file))
        headers = {"Authorization": f"Bearer {cluster.admin_token}"}
        url = f"{cluster.url}/api/v1/namespaces/default/configmaps?watch=1"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
            while True:
                async with session.get(url, headers=headers, ssl=context) as answer:
                    async for line in answer.content:
                        await self._note(json.loads(line)["object"])

    async def _note(self, found: dict[str, object]) -> None:
        data, metadata = found.get("data"), found.get("metadata")
        if isinstance(data, dict) and isinstance(metadata, dict) and "value" in data:
            async with self._changed:
                self.at.setdefault((metadata["name"], data["value"]), time.monotonic())
                self._changed.notify_all()

    async def when(self, name: str, value: str) -> float:
        """Monotonic seconds; TimeoutError after a minute."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: (name, value) in self.at)
        return self.at[(name, value)]


@asynccontextmanager
async def seen_at(cluster: KubeCluster) -> AsyncIterator[Seen]:
    """A watch that runs meanwhile."""
    seen = Seen()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(seen.follow(cluster))
        yield seen
        task.cancel()


async def one(lab: FleetLab, seen: Seen, app: str, value: str) -> float:
    """Seconds from just before the push and its webhook to the value at the API server."""
    started = time.monotonic()
    await lab.push(f"{app} {value}", {f"{app}/config.yaml": config(app, value)})
    return await seen.when(app, value) - started


async def measure() -> dict[str, float | int | str]:
    """50 commits after a few that warm up."""
    files: dict[str, str | None] = {
        "fleet.yaml": _FLEET,
        "plain/knarr.yaml": _APP,
        "plain/config.yaml": config("plain", "0"),
        "built/knarr.yaml": _APP,
        "built/kustomization.yaml": _KUSTOMIZATION,
        "built/config.yaml": config("built", "0"),
    }
    taken: dict[str, list[float]] = {"plain": [], "built": []}
    with tempfile.TemporaryDirectory(prefix="knarr-bench-kube-") as folder:
        async with KubeFleet(Path(folder)) as fleet:
            cluster = await fleet.start_cluster("latency")
            target = LocalCluster(name="latency", kubeconfig=cluster.kubeconfig, context=cluster.name)
            async with fleet_lab(files, (target,)) as lab, seen_at(cluster) as seen:
                await seen.when("plain", "0")
                await seen.when("built", "0")
                for number in range(1, _WARM + _COMMITS + 1):
                    app = ("plain", "built")[number % 2]
                    seconds = await one(lab, seen, app, str(number))
                    if number > _WARM:
                        taken[app].append(seconds)
                    if number % 10 == 0:
                        say(f"{number} commits; the last took {seconds:.3f} s")
    both = taken["plain"] + taken["built"]
    return {
        "p50": round(percentile(both, 0.5), 4),
        "p99": round(percentile(both, 0.99), 4),
        "plain_p50": round(percentile(taken["plain"], 0.5), 4),
        "kustomize_p50": round(percentile(taken["built"], 0.5), 4),
        "commits": len(both),
    }


if __name__ == "__main__":
    finish(asyncio.run(measure()))
