"""Bytes that no client library of ours would send, stored in REPORTS: the reader goes on, for everybody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from knarr.local.nats import NatsServer
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.consume import Received, Subscription, consume_batches
from knarr.messaging.streams import DEAD_LETTERS, REPORTS, ensure_streams
from knarr.pipeline.report import AppReport, ClusterReport

WHAT = Subscription(
    stream=REPORTS,
    durable="test",
    filters=("report.*.app.*", "report.*.cluster"),
    kinds=(AppReport, ClusterReport),
    service="status",
)


def _with_headers(headers: bytes) -> bytes:
    return b"HPUB report.c1.app.x %d %d\r\n%sxx\r\n" % (len(headers), len(headers) + 2, headers)


HOSTILE = [
    ("a subject that is no text", b"PUB report.c1.app.\xff\xfe 2\r\nhi\r\n"),
    ("a subject with NUL", b"PUB report.c1.app.\x00 2\r\nhi\r\n"),
    ("a status that ends a fetch", _with_headers(b"NATS/1.0 503\r\n\r\n")),
    ("a status that says there is nothing", _with_headers(b"NATS/1.0 404 No Messages\r\n\r\n")),
    ("a status as a header", _with_headers(b"NATS/1.0\r\nStatus: 408\r\n\r\n")),
    ("a status that is no text", _with_headers(b"NATS/1.0 404 \xff\xff\r\n\r\n")),
    ("headers that are no text", _with_headers(b"NATS/1.0\r\nKnarr-Type: \xff\r\n\xff: \xff\r\n\r\n")),
    ("headers that are garbage", _with_headers(b"garbage\r\n\r\n")),
]


@pytest.mark.parametrize(("what", "sent"), HOSTILE, ids=[h[0] for h in HOSTILE])
async def test_bytes_that_break_a_client_harm_nobody_else(tmp_path: Path, what: str, sent: bytes) -> None:
    handled: list[str] = []

    async def handle(messages: list[Received]) -> None:
        handled.extend(m.value.cluster for m in messages)

    async with NatsServer(tmp_path / "nats") as server:
        async with Broker(BrokerSettings(urls=(server.url,), name="t")) as broker:
            await broker.wait_connected(10)
            await ensure_streams(broker.jetstream())
            task = asyncio.create_task(consume_batches(broker, WHAT, handle))
            await _publish_raw(server.url, sent)
            async with asyncio.timeout(20):
                while not await _refused(broker):  # noqa: ASYNC110 - several conditions, one way to wait
                    await asyncio.sleep(0.02)
                for name in ("c2", "c3"):
                    await broker.publish(f"report.{name}.cluster", ClusterReport(cluster=name))
                while handled != ["c2", "c3"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            info = await broker.jetstream().consumer_info(REPORTS, WHAT.durable)
            assert not info.num_pending
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def _refused(broker: Broker) -> int:
    return int((await broker.jetstream().stream_info(DEAD_LETTERS)).state.messages)


async def _publish_raw(url: str, sent: bytes) -> None:
    host, _, port = url.rpartition("/")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.readline()
    writer.write(b'CONNECT {"verbose":false,"headers":true}\r\n' + sent + b"PING\r\n")
    async with asyncio.timeout(10):
        assert await reader.readline() == b"PONG\r\n"
    writer.close()
    await writer.wait_closed()
