"""HTTP, SSH and paths; logins; hosts that cannot prove who they are. Credentials appear nowhere else."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
import asyncssh
import pytest
from aiohttp import web

from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness
from services.fetcher.tests.ways import certificate, https_server, proxy

TOKEN = "s3cret-token-that-must-not-appear"


def _credentials(fetcher: FetcherHarness, content: object) -> None:
    path = fetcher.folder / "credentials.yaml"
    path.write_text(json.dumps(content))
    fetcher.environment |= {"KNARR_CREDENTIALS_FILE": str(path), "KNARR_FLEET_CREDENTIALS": "host"}


def _ssh(fetcher: FetcherHarness, **changes: object) -> dict[str, object]:
    entry = {
        "urls": [fetcher.git.ssh_url("fleet")],
        "privateKeyFile": str(fetcher.git.client_key_file),
        "knownHosts": fetcher.git.known_hosts,
    }
    return {"credentials": {"host": {**entry, **changes}}}


async def test_over_ssh_with_a_known_host(fetcher: FetcherHarness) -> None:
    _credentials(fetcher, _ssh(fetcher))
    fetcher.environment["KNARR_FLEET_URL"] = fetcher.git.ssh_url("fleet")
    await fetcher.committed({"fleet.yaml": FLEET})
    snapshot = await fetcher.committed({"a": "1"})
    assert await fetcher.files(snapshot) == {"fleet.yaml": FLEET.encode(), "a": b"1"}


async def test_an_unknown_ssh_host_is_refused(fetcher: FetcherHarness) -> None:
    fetcher.fleet.commit({"fleet.yaml": FLEET})
    _credentials(fetcher, _ssh(fetcher, knownHosts=""))
    fetcher.start(KNARR_FLEET_URL=fetcher.git.ssh_url("fleet"))
    await fetcher.report("KNR1005")
    assert await fetcher.newest() is None


async def test_a_host_whose_key_changed_is_refused_until_the_new_one_is_known(fetcher: FetcherHarness) -> None:
    _credentials(fetcher, _ssh(fetcher))
    fetcher.environment["KNARR_FLEET_URL"] = fetcher.git.ssh_url("fleet")
    last = await fetcher.committed({"fleet.yaml": FLEET})
    await fetcher.git.change_host_key()
    fetcher.fleet.commit({"fleet.yaml": FLEET, "by": "an impostor"})
    await fetcher.report("KNR1005")
    assert await fetcher.newest() == last
    _credentials(fetcher, _ssh(fetcher))
    await fetcher.commit(fetcher.fleet.head())


async def test_another_ssh_key_is_refused(fetcher: FetcherHarness) -> None:
    fetcher.fleet.commit({"fleet.yaml": FLEET})
    key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    content = _ssh(fetcher, privateKey=key)
    content["credentials"]["host"].pop("privateKeyFile")  # type: ignore[index]
    _credentials(fetcher, content)
    fetcher.start(KNARR_FLEET_URL=fetcher.git.ssh_url("fleet"))
    await fetcher.report("KNR1004")


async def test_a_repository_that_ssh_does_not_know(fetcher: FetcherHarness) -> None:
    _credentials(fetcher, _ssh(fetcher, urls=[fetcher.git.ssh_url("missing")]))
    fetcher.start(KNARR_FLEET_URL=fetcher.git.ssh_url("missing"))
    report = await fetcher.any_failure()
    assert report.failure is not None
    assert report.failure.code in ("KNR1006", "KNR1001")


async def test_with_a_token_that_is_renewed_while_it_runs(
    fetcher: FetcherHarness, capfd: pytest.CaptureFixture[str]
) -> None:
    fetcher.git.http.token = TOKEN
    url = fetcher.git.http_url("fleet")
    (fetcher.folder / "token").write_text("an old one\n")
    host = {"urls": [url.removesuffix("/fleet.git") + "/"], "username": "knarr", "passwordFile": "token"}
    _credentials(fetcher, {"credentials": {"host": host}})
    fetcher.fleet.commit({"fleet.yaml": FLEET})
    fetcher.start()
    report = await fetcher.report("KNR1004")
    (fetcher.folder / "token").write_text(TOKEN + "\n")
    await fetcher.commit(fetcher.fleet.head())
    assert TOKEN not in str(report)
    assert TOKEN not in "".join(capfd.readouterr())
    for stream in ("COMMITS", "SOURCES", "SNAPSHOTS"):
        assert TOKEN.encode() not in await fetcher.everything_in(stream)


@pytest.mark.parametrize(
    ("urls", "name"),
    [(["http://127.0.0.1:1/"], "host"), (["http://127.0.0.1/"], "host"), (["https://x/"], "other")],
)
async def test_a_credential_is_shown_only_where_it_belongs(fetcher: FetcherHarness, urls: list[str], name: str) -> None:
    fetcher.git.http.token = TOKEN
    fetcher.fleet.commit({"fleet.yaml": FLEET})
    _credentials(fetcher, {"credentials": {"host": {"urls": urls, "password": TOKEN}}})
    fetcher.start(KNARR_FLEET_CREDENTIALS=name)
    await fetcher.report("KNR1023")
    assert fetcher.git.http.requests == []


async def test_a_wrong_credentials_file_is_said_without_its_values(fetcher: FetcherHarness) -> None:
    fetcher.fleet.commit({"fleet.yaml": FLEET})
    _credentials(fetcher, {"credentials": {"host": {"urls": [], "password": TOKEN}}})
    fetcher.start()
    report = await fetcher.report("KNR1025")
    assert TOKEN not in str(report)


async def test_a_path_only_where_it_is_allowed(fetcher: FetcherHarness) -> None:
    fetcher.environment |= {"KNARR_FLEET_URL": str(fetcher.fleet.path), "KNARR_ALLOW_LOCAL_PATHS": "true"}
    snapshot = await fetcher.committed({"fleet.yaml": FLEET})
    assert await fetcher.files(snapshot) == {"fleet.yaml": FLEET.encode()}


def _git_behind_tls(
    fetcher: FetcherHarness, asked: list[str]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answers for the Git server; `asked` takes the hosts that clients named."""

    async def serve(request: web.Request) -> web.StreamResponse:
        asked.append(request.host)
        url = fetcher.git.http_url("shop").removesuffix("/shop.git") + request.path_qs
        headers = {k: v for k, v in request.headers.items() if k in ("Content-Type", "Accept")}
        async with aiohttp.ClientSession() as session:
            data = await request.read()
            async with session.request(request.method, url, data=data, headers=headers) as answer:
                kind = {"Content-Type": answer.headers.get("Content-Type", "")}
                return web.Response(status=answer.status, body=await answer.read(), headers=kind)

    return serve


async def test_https_with_its_own_ca_and_no_redirect_to_another_host(fetcher: FetcherHarness) -> None:
    good, bad = certificate(fetcher.folder / "good.pem"), certificate(fetcher.folder / "bad.pem")
    fetcher.environment["KNARR_CA_BUNDLE"] = str(fetcher.folder / "good.pem")
    shop = fetcher.git.create("shop")
    shop.commit({"a": "1"})
    asked: list[str] = []
    async with AsyncExitStack() as stack:
        target = await https_server(_git_behind_tls(fetcher, asked), good, stack)

        async def away(request: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": f"https://127.0.0.1:{target}{request.path_qs}"})

        redirecting, impostor = (
            await https_server(away, good, stack),
            await https_server(_git_behind_tls(fetcher, asked), bad, stack),
        )
        ports = {"good": target, "redirected": redirecting, "impostor": impostor}
        entries = [{"name": name, "url": f"https://localhost:{port}/shop.git"} for name, port in ports.items()]
        await fetcher.committed({"fleet.yaml": fetcher.fleet_file(entries)})
        assert await fetcher.files(await fetcher.commit(shop.head(), "good")) == {"a": b"1"}
        await fetcher.report("KNR1060", "redirected")
        await fetcher.report("KNR1005", "impostor")
        assert set(asked) == {f"localhost:{target}"}
        await fetcher.stop()


async def test_https_goes_through_the_proxy(fetcher: FetcherHarness) -> None:
    tls = certificate(fetcher.folder / "good.pem")
    shop = fetcher.git.create("shop")
    shop.commit({"a": "1"})
    async with AsyncExitStack() as stack:
        way = await stack.enter_async_context(proxy())
        port = await https_server(_git_behind_tls(fetcher, []), tls, stack)
        fetcher.environment |= {"KNARR_CA_BUNDLE": str(fetcher.folder / "good.pem"), "KNARR_PROXY": way.url}
        entries = [{"name": "shop", "url": f"https://localhost:{port}/shop.git"}]
        await fetcher.committed({"fleet.yaml": fetcher.fleet_file(entries)})
        assert await fetcher.files(await fetcher.commit(shop.head(), "shop")) == {"a": b"1"}
        assert set(way.asked) == {f"localhost:{port}"}
        await fetcher.stop()


async def test_a_host_that_hangs_holds_up_no_other(fetcher: FetcherHarness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        hanging = [{"name": f"h{n}", "url": f"http://127.0.0.1:{silent.getsockname()[1]}/x.git"} for n in range(12)]
        await fetcher.committed({"fleet.yaml": fetcher.fleet_file(hanging)})
        for n in range(3):
            await fetcher.committed({"a": str(n)})
        await fetcher.stop()
