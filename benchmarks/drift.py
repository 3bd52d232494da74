"""`make bench-drift`: a hand edits an object on a real API server; how long until the agent has healed it."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from typing import Any

import aiohttp
from agent_lab import Lab, lab
from apply import bundle
from figures import finish, percentile, say

from knarr.pipeline.assignment import AssignedApp

NAMESPACE = "bench"
APPS = 75  # of 4 objects: 300 under watch
EDITS = 100
MERGE = "application/merge-patch+json"


async def measure() -> dict[str, Any]:
    """The figures."""
    async with lab() as made:
        await made.kube.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        apps: dict[str, AssignedApp] = {}
        await made.assign((bundle(n, "1") for n in range(APPS)), apps)
        await made.until(lambda: made.all_healthy(apps))
        context = ssl.create_default_context(cafile=str(made.kube.ca_file))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            say(f"{EDITS} edits by hand, then {EDITS // 4} deletions")
            edits = [await healed(made, session, n % APPS, delete=False) for n in range(EDITS)]
            deletions = [await healed(made, session, n % APPS, delete=True) for n in range(EDITS // 4)]
        return {
            "p50": round(percentile(edits, 0.5), 4),
            "p99": round(percentile(edits, 0.99), 4),
            "deletion_p50": round(percentile(deletions, 0.5), 4),
            "objects": APPS * 4,
        }


async def healed(made: Lab, session: aiohttp.ClientSession, app: int, *, delete: bool) -> float:
    """Seconds from the acknowledged edit (or deletion) of one ConfigMap to its being as it was."""
    name, headers = f"app-{app:04d}-a", {"Authorization": f"Bearer {made.kube.admin_token}"}
    place = f"{made.kube.url}/api/v1/namespaces/{NAMESPACE}/configmaps"
    async with session.get(f"{place}/{name}", headers=headers) as answer:
        version = (await answer.json())["metadata"]["resourceVersion"]
    query = f"?watch=1&resourceVersion={version}&fieldSelector=metadata.name%3D{name}"
    async with session.get(place + query, headers=headers) as watching:
        if delete:
            async with session.delete(f"{place}/{name}", headers=headers) as answer:
                assert answer.status == 200
        else:
            edit = {"data": {"value": f"edited at {time.time()}"}}
            merge = {**headers, "Content-Type": MERGE}
            url = f"{place}/{name}?fieldManager=kubectl-edit"
            async with session.patch(url, json=edit, headers=merge) as answer:
                assert answer.status == 200
        begun = time.perf_counter()
        async for line in watching.content:
            event = json.loads(line)
            if event["type"] != "DELETED" and event["object"]["data"]["value"] == "1":
                return time.perf_counter() - begun
    raise AssertionError("the watch ended")


if __name__ == "__main__":
    finish(asyncio.run(measure()))
