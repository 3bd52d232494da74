"""Agents in one process over a real NATS with both accounts: enrol, apply, report, edit by hand from outside."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from nacl.signing import SigningKey

from knarr.agent.adapters.simulated import outside
from knarr.agent.host import host
from knarr.agent.settings import from_line
from knarr.messaging.blobs import put_sealed
from knarr.messaging.broker import Broker
from knarr.messaging.streams import REPORTS
from knarr.messaging.subjects import assignment_subject, report_app_subject, report_cluster_subject
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.testkit.agent_hub import EPOCH, Assigner, assigned, bundle_of
from knarr.testkit.installation import Installation, admin, installation

__all__ = ["admin", "installation"]

SIGNER = SigningKey(b"s" * 32)
T = TypeVar("T")


@asynccontextmanager
async def hosted(installation: Installation, folder: Path, *clusters: str) -> AsyncIterator[None]:
    trust = folder / "trust.json"
    trust.write_text(json.dumps({"epoch": EPOCH, "verify_keys": [base64.b64encode(bytes(SIGNER.verify_key)).decode()]}))
    lines = []
    for cluster in clusters:
        seed = folder / f"{cluster}.seed"
        seed.write_text(installation.seeds[cluster])
        line = {
            "cluster": cluster,
            "nats_url": installation.server.url,
            "nkey_seed_file": str(seed),
            "trust_file": str(trust),
            "simulated_dir": str(folder / cluster),
            "ready_after_seconds": 0.01,
        }
        lines.append(from_line(json.dumps(line)))
    running = asyncio.ensure_future(host(tuple(lines)))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(broker: Broker, subject: str, kind: type[T], holds: Callable[[T], bool]) -> T:
    async with asyncio.timeout(20):
        while True:
            found = await broker.newest(REPORTS, subject, kind)
            if found is not None and holds(found.value):
                return found.value
            await asyncio.sleep(0.02)


async def test_two_agents_apply_report_and_heal(installation: Installation, admin: Broker, tmp_path: Path) -> None:
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": "shop"},
        "data": {"x": "1"},
    }
    app, sealed = assigned(bundle_of("shop", config_map, namespace="shop"))
    await put_sealed(admin, "blob", sealed.address, sealed.chunks)
    async with hosted(installation, tmp_path, "c1", "c2"):
        for cluster in ("c1", "c2"):
            enrolled = await until(admin, report_cluster_subject(cluster), ClusterReport, lambda r: True)
            assigner = Assigner(cluster, enrolled.cluster_uid, enrolled.sealing_public_key, signer=SIGNER)
            await admin.publish_bytes(assignment_subject(cluster), assigner.signed([app]))
        for cluster in ("c1", "c2"):
            subject = report_app_subject(cluster, "shop")
            report = await until(admin, subject, AppReport, lambda r: r.state is AppState.HEALTHY)
            assert report.digest == app.digest
            await until(admin, report_cluster_subject(cluster), ClusterReport, lambda r: r.generation_applied == 1)
        outside.edit(tmp_path / "c1", "/ConfigMap/shop/a", {"data": {"x": "9"}})
        healed = await until(admin, report_app_subject("c1", "shop"), AppReport, lambda r: bool(r.drift))
        assert healed.drift[0].manager == "kubectl-edit"


async def test_an_agent_finds_its_way_back_after_the_broker_was_killed(
    installation: Installation, admin: Broker, tmp_path: Path
) -> None:
    async with hosted(installation, tmp_path, "c1"):
        enrolled = await until(admin, report_cluster_subject("c1"), ClusterReport, lambda r: True)
        await installation.server.kill()
        await installation.server.start()
        await admin.wait_connected(20)
        app, sealed = assigned(bundle_of("shop", namespace="shop"))
        await put_sealed(admin, "blob", sealed.address, sealed.chunks)
        assigner = Assigner("c1", enrolled.cluster_uid, enrolled.sealing_public_key, signer=SIGNER)
        await admin.publish_bytes(assignment_subject("c1"), assigner.signed([app]))
        await until(admin, report_app_subject("c1", "shop"), AppReport, lambda r: r.state is AppState.HEALTHY)
