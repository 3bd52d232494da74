"""A Git host, or whoever is on the way to it, that sends the fetcher elsewhere to get at its login."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from knarr.local.git import GitServer
from knarr.local.nats import NatsServer
from services.fetcher.tests.fetcher_harness import FetcherHarness
from services.fetcher.tests.ways import certificate, http_server, https_server, proxy

TOKEN = "a-token-that-only-one-host-sees"


class Thief:
    """Asks for a login and keeps what it is given."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Authorization", ""))
        return web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=git"})


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("asks_first", [False, True], ids=["at-once", "after-the-login"])
async def test_a_redirect_to_another_port_or_host(
    nats_server: NatsServer, git_server: GitServer, tmp_path: Path, scheme: str, host: str, asks_first: bool
) -> None:
    """Nothing is asked there, with or without a login, and the source says where it leads."""
    thief = Thief()
    async with FetcherHarness(nats_server, git_server, tmp_path) as fetcher, AsyncExitStack() as stack:
        tls = certificate(tmp_path / "ca.pem")
        port = await (https_server(thief.answer, tls, stack) if scheme == "https" else http_server(thief.answer, stack))

        async def away(request: web.Request) -> web.StreamResponse:
            if asks_first and "Authorization" not in request.headers:
                return web.Response(status=401, headers={"WWW-Authenticate": "Basic realm=git"})
            return web.Response(status=302, headers={"Location": f"{scheme}://{host}:{port}{request.path_qs}"})

        first = await (https_server(away, tls, stack) if scheme == "https" else http_server(away, stack))
        url = f"{scheme}://127.0.0.1:{first}/shop.git"
        login = {"credentials": {"host": {"urls": [url], "username": "me", "password": TOKEN}}}
        (tmp_path / "credentials.yaml").write_text(json.dumps(login))
        fetcher.environment |= {
            "KNARR_CREDENTIALS_FILE": str(tmp_path / "credentials.yaml"),
            "KNARR_CA_BUNDLE": str(tmp_path / "ca.pem"),
        }
        entry = {"name": "shop", "url": url, "credentials": "host"}
        await fetcher.committed({"fleet.yaml": fetcher.fleet_file([entry])})
        report = await fetcher.report("KNR1060", "shop")
        assert report.failure is not None
        assert f"{host}:{port}" in report.failure.message
        assert thief.asked == []
        await fetcher.stop()


async def test_a_redirect_is_not_followed_through_a_proxy_either(
    nats_server: NatsServer, git_server: GitServer, tmp_path: Path
) -> None:
    """The proxy is asked for the source's own host only."""
    thief = Thief()
    async with FetcherHarness(nats_server, git_server, tmp_path) as fetcher, AsyncExitStack() as stack:
        way = await stack.enter_async_context(proxy())
        tls = certificate(tmp_path / "ca.pem")
        port = await https_server(thief.answer, tls, stack)

        async def away(request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": f"https://127.0.0.1:{port}{request.path_qs}"})

        url = f"https://127.0.0.1:{await https_server(away, tls, stack)}/shop.git"
        fetcher.environment |= {"KNARR_PROXY": way.url, "KNARR_CA_BUNDLE": str(tmp_path / "ca.pem")}
        await fetcher.committed({"fleet.yaml": fetcher.fleet_file([{"name": "shop", "url": url}])})
        await fetcher.report("KNR1060", "shop")
        assert thief.asked == []
        assert set(way.asked) == {url.split("/")[2]}
        await fetcher.stop()
