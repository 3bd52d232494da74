"""What the agent's benchmarks share: a real API server, a real NATS, one agent process, and the hub's part by hand."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from figures import say
from nacl.signing import SigningKey

from knarr.bundle.packing import Bundle
from knarr.local.kube import KubeCluster, KubeFleet
from knarr.local.nats import NatsServer
from knarr.local.ports import free_port
from knarr.messaging.blobs import put_sealed
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.envelope import from_wire
from knarr.messaging.streams import ensure_streams
from knarr.messaging.subjects import assignment_subject
from knarr.pipeline.assignment import AssignedApp
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from knarr.testkit.agent_hub import EPOCH, Assigner, assigned

SIGNER = SigningKey(b"s" * 32)
CLUSTER = "bench"


@dataclass(slots=True)
class AgentProcess:
    """`python -m knarr.agent` with its health and metrics on a free port."""

    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)
    _process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Returns once it says that it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "knarr.agent",
                env={**os.environ, **self.environment, "KNARR_LISTEN": f"127.0.0.1:{self.port}"},
                stderr=log,
                stdout=log,
            )
        async with asyncio.timeout(30), aiohttp.ClientSession() as session:
            while True:
                if self._process.returncode is not None:
                    raise SystemExit(f"the agent ended: {self.log.read_text()[-2000:]}")
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """SIGTERM, and waits."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL: nothing is said and nothing is saved any more."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def metrics(self) -> dict[str, float]:
        """Its own counters."""
        return await scrape(f"http://127.0.0.1:{self.port}/metrics")

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._process is not None
        return self._process.pid

    def rss_mib(self) -> float:
        """Resident memory now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def scrape(url: str, **options: Any) -> dict[str, float]:
    """Prometheus text as name{labels} → value."""
    async with aiohttp.ClientSession() as session, session.get(url, **options) as answer:
        text = await answer.text()
    return parse_metrics(text)


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus text as name{labels} → value."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


@dataclass(slots=True)
class Lab:
    """The hub's part, and eyes on the API server."""

    folder: Path
    kube: KubeCluster
    nats: NatsServer
    broker: Broker
    agent: AgentProcess
    assigner: Assigner
    reports: dict[str, AppReport] = field(default_factory=dict)
    cluster_report: ClusterReport | None = None
    app_messages: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def assign(self, bundles: Iterable[Bundle], apps: dict[str, AssignedApp]) -> None:
        """Stores the blobs, notes the apps in `apps`, and publishes one assignment of all of `apps`."""
        await self.upload(bundles, apps)
        await self.publish(apps)

    async def upload(self, bundles: Iterable[Bundle], apps: dict[str, AssignedApp]) -> None:
        """Only the blobs."""
        for bundle in bundles:
            app, sealed = assigned(bundle)
            await put_sealed(self.broker, "blob", sealed.address, sealed.chunks)
            apps[app.app] = app

    async def publish(self, apps: dict[str, AssignedApp], **more: Any) -> None:
        """Only the assignment."""
        await self.broker.publish_bytes(assignment_subject(CLUSTER), self.assigner.signed(apps.values(), **more))

    async def until(self, holds: Callable[[], bool], seconds: float = 300.0) -> None:
        """Waits until something holds of the reports."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._arrived.clear()
                if holds():
                    return
                await self._arrived.wait()

    def all_healthy(self, apps: dict[str, AssignedApp]) -> bool:
        """Whether every app is reported healthy at its digest."""
        return all(
            (r := self.reports.get(name)) is not None and r.state is AppState.HEALTHY and r.digest == app.digest
            for name, app in apps.items()
        )

    def take(self, subject: str, payload: bytes, headers: dict[str, str]) -> None:
        """A report arrived."""
        if ".app." in subject:
            self.app_messages += 1
            report = from_wire((AppReport,), payload, headers)
            self.reports[report.app] = report
        elif subject.endswith(".cluster"):
            self.cluster_report = from_wire((ClusterReport,), payload, headers)
        self._arrived.set()

    async def api_requests(self) -> dict[tuple[str, str], float]:
        """Requests to the API server by verb and resource, as it counts them itself."""
        _, text = await self.kube.request("GET", "/metrics")
        counted: dict[tuple[str, str], float] = {}
        for name, value in parse_metrics(text).items():
            if name.startswith("apiserver_request_total{"):
                labels = dict(part.split("=", 1) for part in name[24:-1].split(",") if "=" in part)
                key = (labels["verb"].strip('"'), labels["resource"].strip('"'))
                counted[key] = counted.get(key, 0) + value
        return counted


@asynccontextmanager
async def lab(more: Mapping[str, str] | None = None, *, controllers: bool = False) -> AsyncIterator[Lab]:
    """Everything running, the agent enrolled; `more` is added to its environment."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="knarr-bench-")))
        say("starting a real kube-apiserver and NATS (a first use builds Kubernetes, some minutes)")
        fleet = await stack.enter_async_context(KubeFleet(folder / "kube"))
        kube = await fleet.start_cluster("bench", controllers=controllers)
        nats = await stack.enter_async_context(NatsServer(folder / "nats"))
        broker = Broker(BrokerSettings(urls=(nats.url,), name="bench"))
        await stack.enter_async_context(broker)
        await broker.wait_connected(20)
        await ensure_streams(broker.jetstream())
        agent = _agent(folder, nats, kube, more or {})
        made = Lab(folder, kube, nats, broker, agent, Assigner(CLUSTER, "", b"", signer=SIGNER))

        async def take(message: Any) -> None:
            made.take(message.subject, message.data, dict(message.headers or {}))

        await broker.subscribe(f"report.{CLUSTER}.>", take)
        await agent.start()
        stack.push_async_callback(agent.stop)
        await made.until(lambda: made.cluster_report is not None)
        assert made.cluster_report is not None
        made.assigner.cluster_uid = made.cluster_report.cluster_uid
        made.assigner.recipient = made.cluster_report.sealing_public_key
        yield made


def _agent(folder: Path, nats: NatsServer, kube: KubeCluster, more: Mapping[str, str]) -> AgentProcess:
    trust = folder / "trust.json"
    key = base64.b64encode(bytes(SIGNER.verify_key)).decode()
    trust.write_text(json.dumps({"epoch": EPOCH, "verify_keys": [key]}))
    settings = {
        "KNARR_CLUSTER": CLUSTER,
        "KNARR_NATS_URL": nats.url,
        "KNARR_TRUST_FILE": str(trust),
        "KNARR_KUBECONFIG": str(kube.kubeconfig),
        **more,
    }
    return AgentProcess(environment=settings, log=folder / "agent.log")
