"""Who may say to the fetcher that something is missing."""

from __future__ import annotations

import asyncio

from nats.aio.msg import Msg

from knarr.messaging.broker import Broker
from knarr.messaging.subjects import missing_subject
from knarr.testkit.installation import Installation


async def test_the_fetcher_hears_what_the_renderer_misses_and_no_agent(installation: Installation) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def note(message: Msg) -> None:
        heard.put_nowait(message.data.decode())

    async with (
        Broker(installation.settings("fetcher")) as fetcher,
        Broker(installation.settings("renderer")) as renderer,
        Broker(installation.settings("c1")) as agent,
    ):
        for broker in (fetcher, renderer, agent):
            await broker.wait_connected(10)
        await fetcher.subscribe(missing_subject("*"), note)
        await fetcher.client().flush()
        for broker, who in ((agent, b"agent"), (renderer, b"renderer")):
            await broker.client().publish(missing_subject("team"), who)
            await broker.client().flush()
        async with asyncio.timeout(10):
            assert await heard.get() == "renderer"
        assert heard.empty()
