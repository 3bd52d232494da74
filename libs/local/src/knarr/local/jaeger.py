"""A real Jaeger on loopback, traces in memory: where a test or the demo sends a commit's trace and finds it again.

Built from its module on first use (`make jaeger`). Carries no page to look at; our own page draws a commit's timeline.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from knarr.local.build import binary
from knarr.local.health import answers_ok
from knarr.local.ports import free_port
from knarr.local.process import Command, OwnedProcess
from knarr.pipeline.errors import retryable

_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_POLL_SECONDS = 0.05
# Every listener that it opens, ours or not: each on a free loopback port, so that two can run side by side.
_LISTENERS = (
    "admin.http",
    "query.http-server",
    "query.grpc-server",
    "collector.otlp.http",
    "collector.otlp.grpc",
    "collector.http-server",
    "collector.grpc-server",
)


class JaegerServer:
    """`async with JaegerServer(folder) as jaeger: spans = await jaeger.await_trace(trace_id, lambda s: len(s) > 3)`."""

    def __init__(self, state_dir: Path, *, max_traces: int = 50_000) -> None:
        self._state_dir, self._max_traces = state_dir, max_traces
        self._ports = {listener: free_port() for listener in _LISTENERS}
        self._process: OwnedProcess | None = None

    @property
    def otlp_endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT: OTLP over HTTP, without the path of the signal."""
        return f"http://127.0.0.1:{self._ports['collector.otlp.http']}"

    @property
    def query_url(self) -> str:
        """The query API: /api/services, /api/traces/<id>."""
        return f"http://127.0.0.1:{self._ports['query.http-server']}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it, building it first if need be, and wait for its health."""
        program = await asyncio.to_thread(binary, "jaeger")
        listeners = (f"--{name}.host-port=127.0.0.1:{port}" for name, port in self._ports.items())
        argv = (str(program), *listeners, f"--memory.max-traces={self._max_traces}", "--log-level=warn")
        environment = {"SPAN_STORAGE_TYPE": "memory"}
        command = Command(name="jaeger", argv=argv, environment=environment)
        self._process = self._process or OwnedProcess(command, self._state_dir)
        await self._process.start(self._ready)

    async def stop(self) -> None:
        """End it; its traces are gone. Killed: it has nothing to save and would take ten seconds to say so."""
        if self._process is not None:
            await self._process.kill()

    async def services(self) -> tuple[str, ...]:
        """The names of all services that sent a span."""
        found = await self._get("/api/services")
        return tuple(sorted(found or ()))

    async def trace(self, trace_id: str) -> tuple[dict[str, Any], ...]:
        """The spans of a trace as the query API gives them; none for an unknown one."""
        return tuple((await self.whole_trace(trace_id))["spans"])

    async def traces_of(self, service: str, operation: str, *, limit: int = 1000) -> tuple[dict[str, Any], ...]:
        """The newest traces in which the service did the operation, each with its `spans` and `processes`."""
        found = await self._get(f"/api/traces?service={quote(service)}&operation={quote(operation)}&limit={limit}")
        return tuple(found or ())

    async def whole_trace(self, trace_id: str) -> dict[str, Any]:
        """A trace with its `spans` and `processes`; both empty for an unknown one."""
        found = await self._get(f"/api/traces/{trace_id}")
        return dict(found[0]) if found else {"spans": [], "processes": {}}

    async def await_trace(
        self, trace_id: str, holds: Callable[[tuple[dict[str, Any], ...]], bool], *, deadline_seconds: float = 15.0
    ) -> tuple[dict[str, Any], ...]:
        """The trace's spans, once they `hold`. Raises KNR6117 after the deadline."""
        deadline = time.monotonic() + deadline_seconds
        while True:
            spans = await self.trace(trace_id)
            if holds(spans):
                return spans
            if time.monotonic() > deadline:
                names = sorted({span["operationName"] for span in spans})
                raise retryable("KNR6117", f"trace {trace_id} not as awaited after {deadline_seconds:g} s: {names}")
            await asyncio.sleep(_POLL_SECONDS)

    async def _ready(self) -> bool:
        return await answers_ok(f"http://127.0.0.1:{self._ports['admin.http']}/") and await answers_ok(
            f"{self.query_url}/api/services"
        )

    async def _get(self, path: str) -> Any:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(self.query_url + path) as answer:
            return (await answer.json())["data"] if answer.status == 200 else None
