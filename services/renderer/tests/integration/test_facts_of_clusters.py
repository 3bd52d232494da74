"""Facts are read once, and then only what is new; what is gone from the stream is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from knarr.local.nats import NatsServer
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.streams import FACTS, ensure_streams
from knarr.messaging.subjects import facts_subject
from knarr.pipeline.revision import ClusterFacts
from knarr.renderer.adapters.nats_facts import NatsFacts


@pytest.fixture
async def broker(nats_server: NatsServer) -> AsyncIterator[Broker]:
    async with Broker(BrokerSettings(urls=(nats_server.url,), name="test")) as made:
        await made.wait_connected(10)
        await ensure_streams(made.jetstream())
        yield made


async def told(broker: Broker, cluster: str, version: str) -> None:
    await broker.publish(facts_subject(cluster), ClusterFacts(cluster=cluster, kubernetes_version=version))


async def known(facts: NatsFacts) -> dict[str, str]:
    return {f.cluster: f.kubernetes_version for f in (await facts.newest()).facts}


async def test_changes_arrivals_and_departures_are_seen(broker: Broker) -> None:
    facts = NatsFacts(broker)
    assert await known(facts) == {}
    for name in ("a", "b", "c"):
        await told(broker, name, "1.35")
    assert await known(facts) == dict.fromkeys("abc", "1.35")
    first = (await facts.newest()).number
    await told(broker, "b", "1.36")
    await told(broker, "d", "1.36")
    assert await known(facts) == {"a": "1.35", "b": "1.36", "c": "1.35", "d": "1.36"}
    assert (await facts.newest()).number == first + 2
    await broker.jetstream().purge_stream(FACTS, subject=facts_subject("a"))
    await told(broker, "c", "1.37")
    assert await known(facts) == {"b": "1.36", "c": "1.37", "d": "1.36"}


async def test_a_stream_made_anew_is_read_anew(broker: Broker) -> None:
    facts = NatsFacts(broker)
    for name in ("a", "b"):
        await told(broker, name, "1.35")
    assert await known(facts) == dict.fromkeys("ab", "1.35")
    await broker.jetstream().delete_stream(FACTS)
    await ensure_streams(broker.jetstream())
    await told(broker, "z", "1.36")
    assert await known(facts) == {"z": "1.36"}
