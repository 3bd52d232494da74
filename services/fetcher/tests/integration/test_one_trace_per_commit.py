"""Every commit begins one trace, and hands it on in its message."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from knarr.messaging.streams import COMMITS
from knarr.messaging.subjects import commit_subject
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness

Spans = list[Span]


@pytest.fixture
async def collector() -> AsyncIterator[tuple[str, Spans]]:
    """An OTLP endpoint and the spans that came."""
    spans: Spans = []

    async def take(request: web.Request) -> web.Response:
        sent = ExportTraceServiceRequest.FromString(await request.read())
        spans.extend(s for r in sent.resource_spans for scope in r.scope_spans for s in scope.spans)
        return web.Response()

    application = web.Application()
    application.router.add_post("/v1/traces", take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", spans
    await runner.cleanup()


async def test_one_trace_per_commit(fetcher: FetcherHarness, collector: tuple[str, Spans]) -> None:
    endpoint, spans = collector
    environment = {**os.environ, **fetcher.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    shas = [fetcher.fleet.commit({"fleet.yaml": FLEET})]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "knarr.fetcher", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await fetcher.commit(shas[0])
        shas.append(fetcher.fleet.commit({"a": "1"}))
        await fetcher.commit(shas[1])
    finally:
        process.terminate()
        assert await process.wait() == 0
    roots = {_attributes(s)["vcs.ref.head.revision"]: s for s in spans if s.name == "fetch"}
    assert set(roots) == set(shas)
    assert len({root.trace_id for root in roots.values()}) == 2
    for root in roots.values():
        assert root.parent_span_id == b""
        below = {s.name: s for s in spans if s.parent_span_id == root.span_id}
        assert set(below) == {"git fetch", "snapshot"}
        assert root.start_time_unix_nano <= below["git fetch"].start_time_unix_nano
        assert below["git fetch"].end_time_unix_nano <= below["snapshot"].start_time_unix_nano
        assert below["snapshot"].end_time_unix_nano <= root.end_time_unix_nano
    stored = await fetcher.broker.newest_bytes(COMMITS, commit_subject("fleet"))
    assert stored is not None
    assert roots[shas[1]].trace_id.hex() in stored.headers["traceparent"]


def _attributes(span: Span) -> dict[str, str]:
    return {a.key: a.value.string_value for a in span.attributes}
