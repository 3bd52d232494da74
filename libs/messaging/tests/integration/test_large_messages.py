"""Ten thousand variants make messages above a broker's default limit: ours takes them, another is named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from knarr.local.nats import NatsServer
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.consume import newest_of_all
from knarr.messaging.streams import REPORT_BYTES, REPORTS, REVISIONS, STREAMS, ensure_streams
from knarr.pipeline.errors import Rejected
from knarr.pipeline.report import AppReport
from knarr.pipeline.revision import Index, IndexedObject, RevisionRendered
from knarr.testkit.installation import Installation

OBJECTS = tuple(IndexedObject(object_id=f"/ConfigMap/d/{n}", content_digest=os.urandom(32)) for n in range(60_000))
LARGE = RevisionRendered(app="shop", indexes=(Index(objects=OBJECTS),))


async def test_our_configuration_takes_the_revision_of_a_large_fleet(admin: Broker) -> None:
    await admin.publish("revision.app.shop", LARGE)
    found = await admin.newest(REVISIONS, "revision.app.shop", RevisionRendered)
    assert found is not None
    assert found.value == LARGE


async def test_an_agent_stores_no_report_of_that_size(installation: Installation, admin: Broker) -> None:
    report = AppReport(cluster="c1", app="shop", message=os.urandom(1_500_000).hex())
    async with Broker(installation.settings("c1")) as agent:
        await agent.wait_connected(10)
        with pytest.raises(Rejected) as refused:
            await agent.publish("report.c1.app.shop", report)
        assert refused.value.code == "KNR7012"
        await agent.publish("report.c1.app.shop", AppReport(cluster="c1", app="shop"))


async def test_a_broker_with_the_default_limit_is_named_as_the_cause(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "plain") as server, Broker(BrokerSettings(urls=(server.url,), name="t")) as broker:
        await broker.wait_connected(10)
        await ensure_streams(broker.jetstream())
        with pytest.raises(Rejected, match="max_payload") as refused:
            await broker.publish("revision.app.shop", LARGE)
        assert refused.value.code == "KNR7012"


async def test_a_report_that_unfolds_to_much_is_not_read(installation: Installation, admin: Broker) -> None:
    async with Broker(installation.settings("c1")) as agent:
        await agent.wait_connected(10)
        await agent.publish("report.c1.app.bomb", AppReport(cluster="c1", app="bomb", message="a" * 20_000_000))
        await agent.publish("report.c1.app.shop", AppReport(cluster="c1", app="shop"))
    found = await newest_of_all(admin, REPORTS, "report.*.app.*", AppReport)
    assert [r.value.app for r in found] == ["shop"]


async def test_a_stream_of_an_older_installation_gets_the_bound(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "plain") as server, Broker(BrokerSettings(urls=(server.url,), name="t")) as broker:
        await broker.wait_connected(10)
        js = broker.jetstream()
        older = replace(next(s for s in STREAMS if s.name == REPORTS), subjects=("report.>",), max_message_bytes=-1)
        await ensure_streams(js, streams=(older,))
        await broker.publish("report.c1.app.web", AppReport(cluster="c1", app="web"))
        await ensure_streams(js)
        config = (await js.stream_info(REPORTS)).config
        assert (config.max_msg_size, config.max_msgs_per_subject) == (REPORT_BYTES, 1)
        assert config.subjects == ["report.*.cluster", "report.*.app.*", "report.*.plan"]
        assert await broker.newest(REPORTS, "report.c1.app.web", AppReport) is not None
