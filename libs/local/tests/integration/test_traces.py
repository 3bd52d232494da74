"""Traces arrive: in the process itself, and in the real Jaeger, sent by the real exporter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, Status, StatusCode, Tracer

from knarr.local.jaeger import JaegerServer
from knarr.local.otlp import OtlpReceiver


@contextmanager
def _tracer(endpoint: str) -> Iterator[Tracer]:
    provider = TracerProvider(resource=Resource.create({"service.name": "fetcher"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    yield provider.get_tracer("test")
    provider.shutdown()


def _one_commit(endpoint: str) -> str:
    with _tracer(endpoint) as tracer:
        with tracer.start_as_current_span("fetch", attributes={"files": 3, "source": "fleet"}) as commit:
            with tracer.start_as_current_span("snapshot") as inner:
                inner.set_status(Status(StatusCode.ERROR))
            context = commit.get_span_context()
        with tracer.start_as_current_span("deliver", links=[Link(context)]):
            pass
    return format(context.trace_id, "032x")


async def test_the_receiver_gives_spans_with_parents_attributes_links_and_failure() -> None:
    async with OtlpReceiver() as receiver:
        trace_id = await asyncio.to_thread(_one_commit, receiver.endpoint)
        spans = {s.name: s for s in await receiver.await_spans(lambda spans: len(spans) == 3)}

    assert spans["fetch"].service == "fetcher"
    assert spans["fetch"].attributes == {"files": 3, "source": "fleet"}
    assert spans["snapshot"].parent_id == spans["fetch"].span_id
    assert spans["snapshot"].failed
    assert not spans["fetch"].failed
    assert spans["deliver"].links == ((trace_id, spans["fetch"].span_id),)
    assert spans["deliver"].trace_id != trace_id


async def test_waiting_for_spans_that_do_not_come_names_those_that_did() -> None:
    async with OtlpReceiver() as receiver:
        await asyncio.to_thread(_one_commit, receiver.endpoint)
        with pytest.raises(TimeoutError, match="deliver"):
            await receiver.await_spans(lambda spans: len(spans) == 4, deadline_seconds=0.1)


@pytest.mark.jaeger
@pytest.mark.timeout(900)
async def test_jaeger_finds_a_commits_trace_by_its_id(tmp_path: Path) -> None:
    async with JaegerServer(tmp_path) as jaeger:
        assert await jaeger.trace("0" * 31 + "1") == ()
        trace_id = await asyncio.to_thread(_one_commit, jaeger.otlp_endpoint)
        spans = await jaeger.await_trace(trace_id, lambda spans: len(spans) == 2)
        assert {span["operationName"] for span in spans} == {"fetch", "snapshot"}
        assert "fetcher" in await jaeger.services()


@pytest.mark.jaeger
@pytest.mark.timeout(900)
async def test_two_jaegers_run_side_by_side(tmp_path: Path) -> None:
    async with JaegerServer(tmp_path / "one") as one, JaegerServer(tmp_path / "two") as two:
        trace_id = await asyncio.to_thread(_one_commit, one.otlp_endpoint)
        await one.await_trace(trace_id, lambda spans: len(spans) == 2)
        assert await two.trace(trace_id) == ()
