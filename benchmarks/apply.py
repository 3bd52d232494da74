"""`make bench-apply`: 1,000 apps of 4 objects on a real API server, against a bare loop."""

from __future__ import annotations

import asyncio
import json
import ssl
import statistics
import time
from typing import Any

import aiohttp
from agent_lab import Lab, lab
from figures import finish, say

from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import AssignedApp
from knarr.testkit.agent_hub import bundle_of

NAMESPACE = "bench"
APPS = 1000
CHANGES = 20
IN_FLIGHT = 32
OURS = ("configmaps", "serviceaccounts", "services")
ASIDE = ("WATCH", "LIST")


def objects(app: int, namespace: str, value: str) -> list[dict[str, Any]]:
    """Two ConfigMaps, a ServiceAccount, a Service."""
    name = f"app-{app:04d}"
    metadata = {"namespace": namespace, "labels": {"app": name}}
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    data = {"value": value, "text": "x" * 200}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "name": f"{name}-a"}, "data": data},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**metadata, "name": f"{name}-b"}, "data": data},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**metadata, "name": name, "labels": {"v": value}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {**metadata, "name": name}, "spec": spec},
    ]


def bundle(app: int, value: str) -> Bundle:
    """One app."""
    return bundle_of(f"app-{app:04d}", *objects(app, NAMESPACE, value), namespace=NAMESPACE)


async def requests_to_ours(made: Lab) -> float:
    """Requests on the apps' kinds so far, watches and lists aside."""
    counted = await made.api_requests()
    return sum(n for (verb, resource), n in counted.items() if resource in OURS and verb not in ASIDE)


async def floor(made: Lab, state_requests: int, state_bytes: int) -> float:
    """Seconds for the same applies and as many state writes of the same size, sent by a bare loop."""
    plurals = {"ConfigMap": "configmaps", "ServiceAccount": "serviceaccounts", "Service": "services"}
    await made.kube.admin.create("/api/v1/namespaces", {"metadata": {"name": "floor"}})
    context = ssl.create_default_context(cafile=str(made.kube.ca_file))
    headers = {"Authorization": f"Bearer {made.kube.admin_token}"}
    applies = [o for app in range(APPS) for o in objects(app, "floor", "1")]
    piece = "A" * (4 * (state_bytes // max(1, state_requests) // 4))
    jobs: list[tuple[str, str, bytes]] = []
    for number, manifest in enumerate(applies):
        path = f"/api/v1/namespaces/floor/{plurals[manifest['kind']]}/{manifest['metadata']['name']}?fieldManager=floor"
        jobs.append(("application/apply-patch+yaml", path, json.dumps(manifest).encode()))
        if state_requests and number % max(1, len(applies) // state_requests) == 0:
            secret = {"apiVersion": "v1", "kind": "Secret", "data": {f"k{number}": piece}}
            body = json.dumps({**secret, "metadata": {"name": f"s{number % 16}"}}).encode()
            path = f"/api/v1/namespaces/floor/secrets/s{number}?fieldManager=floor"
            jobs.append(
                ("application/apply-patch+yaml", path, body.replace(b'"s%d"' % (number % 16), b'"s%d"' % number))
            )
    queue = iter(jobs)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT, ssl=context)) as session:

        async def send() -> None:
            for content_type, path, body in queue:
                async with session.patch(
                    made.kube.url + path, data=body, headers={**headers, "Content-Type": content_type}
                ) as answer:
                    await answer.read()
                    assert answer.status in (200, 201), answer.status

        begun = time.perf_counter()
        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))
        return time.perf_counter() - begun


async def one_changed(made: Lab, apps: dict[str, AssignedApp]) -> list[float]:
    """Seconds from an assignment that changes one app of all to its object changed in the cluster."""
    took = []
    for change in range(CHANGES):
        app = (change * 37) % APPS
        value = f"changed-{change}"
        await made.upload([bundle(app, value)], apps)
        path = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
        _, listing = await made.kube.request("GET", f"{path}?limit=1")
        version = listing["metadata"]["resourceVersion"]
        seen = asyncio.ensure_future(watch_for(made, path, version, f"app-{app:04d}-b", value))
        await asyncio.sleep(0.05)
        begun = time.perf_counter()
        await made.publish(apps)
        took.append(await seen - begun)
        await made.until(lambda: made.all_healthy(apps))
    return took


async def watch_for(made: Lab, path: str, version: str, name: str, value: str) -> float:
    """When the ConfigMap has the value."""
    context = ssl.create_default_context(cafile=str(made.kube.ca_file))
    headers = {"Authorization": f"Bearer {made.kube.admin_token}"}
    query = f"?watch=1&resourceVersion={version}&fieldSelector=metadata.name%3D{name}"
    async with aiohttp.ClientSession() as session:
        async with session.get(made.kube.url + path + query, headers=headers, ssl=context) as answer:
            async for line in answer.content:
                if json.loads(line)["object"].get("data", {}).get("value") == value:
                    return time.perf_counter()
    raise AssertionError("the watch ended")


async def measure() -> dict[str, Any]:
    """The figures."""
    async with lab() as made:
        apps: dict[str, AssignedApp] = {}
        await made.kube.admin.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        say(f"making {APPS} bundles")
        await made.upload((bundle(n, "1") for n in range(APPS)), apps)
        before, own = await requests_to_ours(made), await made.agent.metrics()
        say(f"{APPS} apps of 4 objects: from nothing to all reported ready")
        cpu, begun = made.agent.cpu_seconds(), time.perf_counter()
        await made.publish(apps)
        await made.until(lambda: made.all_healthy(apps))
        took = time.perf_counter() - begun
        cpu = made.agent.cpu_seconds() - cpu
        created = await requests_to_ours(made) - before
        after = await made.agent.metrics()
        state_requests = int(after["knarr_agent_state_requests_total"] - own["knarr_agent_state_requests_total"])
        state_bytes = int(after["knarr_agent_state_bytes_total"] - own["knarr_agent_state_bytes_total"])
        say(f"took {took:.2f} s, {cpu:.1f} CPU s of the agent, {created:.0f} requests, {state_requests} state writes")
        bare = await floor(made, state_requests, state_bytes)
        say(f"floor {bare:.2f} s")
        say("every app changed (one ConfigMap pair and an account)")
        before = await requests_to_ours(made)
        await made.upload((bundle(n, "2") for n in range(APPS)), apps)
        begun = time.perf_counter()
        await made.publish(apps)
        await made.until(lambda: made.all_healthy(apps))
        all_changed = time.perf_counter() - begun
        changed = await requests_to_ours(made) - before
        say(f"one app of {APPS} changed, {CHANGES} times")
        fetches = (await made.agent.metrics())["knarr_agent_fetches_total"]
        messages, before = made.app_messages, await requests_to_ours(made)
        one = await one_changed(made, apps)
        others = await requests_to_ours(made) - before - CHANGES * 3
        fetched = (await made.agent.metrics())["knarr_agent_fetches_total"] - fetches
        per_change = (made.app_messages - messages) / CHANGES
        told = len({n for n in apps if made.reports[n].generation >= made.assigner.generation - CHANGES + 1})
        say("the same assignment again; then a restart of the agent")
        before = await requests_to_ours(made)
        begun = time.perf_counter()
        await made.publish(apps)
        await made.until(
            lambda: (
                made.cluster_report is not None and made.cluster_report.generation_applied == made.assigner.generation
            )
        )
        again = time.perf_counter() - begun
        await made.agent.stop()
        made.reports.clear()
        begun = time.perf_counter()
        await made.agent.start()
        await made.until(lambda: made.all_healthy(apps))
        restart = time.perf_counter() - begun
        unchanged = await requests_to_ours(made) - before
        return {
            "floor_ratio": round(took / bare, 3),
            "apply_s": round(took, 3),
            "floor_s": round(bare, 3),
            "agent_cpu_s": round(cpu, 2),
            "state_writes": state_requests,
            "all_changed_s": round(all_changed, 3),
            "one_of_1000_s": round(statistics.median(one), 4),
            "one_of_1000_max_s": round(max(one), 4),
            "one_of_1000_fetches": fetched / CHANGES,
            "one_of_1000_apps_reported": told,
            "one_of_1000_other_requests": others,
            "messages_per_change": per_change,
            "requests_created": round(created / (4 * APPS), 4),
            "requests_changed": round(changed / (3 * APPS), 4),
            "requests_unchanged": unchanged / (4 * APPS),
            "unchanged_s": round(restart, 3),
            "unchanged_same_process_s": round(again, 3),
        }


if __name__ == "__main__":
    finish(asyncio.run(measure()))
