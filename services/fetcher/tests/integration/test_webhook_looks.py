"""A webhook only says *look*, and only who knows the secret may say it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator

import aiohttp
import pytest

from services.fetcher.tests.fetcher_harness import FLEET, SECRET, FetcherHarness

BODY = b'{"after": "whatever it says", "repository": {"clone_url": "http://127.0.0.1:1/evil"}}'


def _signature(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def _post(fetcher: FetcherHarness, source: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    url = f"http://127.0.0.1:{fetcher.port}/webhook/{source}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as response:
        return response.status, await response.text()


async def _started(fetcher: FetcherHarness) -> None:
    fetcher.environment["KNARR_POLL_SECONDS"] = "3600"  # nothing but a webhook makes it look
    await fetcher.committed({"fleet.yaml": FLEET})


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X-Hub-Signature-256": f"sha256={_signature(BODY)}"}, id="GitHub"),
        pytest.param({"X-Gitea-Signature": _signature(BODY)}, id="Gitea"),
        pytest.param({"X-Gitlab-Token": SECRET}, id="GitLab"),
    ],
)
async def test_a_right_one_makes_it_look(fetcher: FetcherHarness, headers: dict[str, str]) -> None:
    await _started(fetcher)
    sha = fetcher.fleet.commit({"a": "1"})
    assert (await _post(fetcher, "fleet", BODY, headers))[0] == 202
    await fetcher.commit(sha)


async def test_it_answers_while_the_git_host_hangs(fetcher: FetcherHarness) -> None:
    await _started(fetcher)
    await fetcher.git.stop()
    for _ in range(3):
        assert (await _post(fetcher, "fleet", BODY, {"X-Gitea-Signature": _signature(BODY)}))[0] == 202
    await fetcher.report("KNR1001")


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        pytest.param("fleet", {}, id="unsigned"),
        pytest.param("fleet", {"X-Hub-Signature-256": f"sha256={_signature(BODY, 'other')}"}, id="another secret"),
        pytest.param("fleet", {"X-Gitea-Signature": _signature(b"another body")}, id="another body"),
        pytest.param("nobody", {"X-Gitea-Signature": _signature(BODY)}, id="no such source"),
        pytest.param("..%2Ffleet", {"X-Gitea-Signature": _signature(BODY)}, id="a path"),
        pytest.param("*", {}, id="a wildcard"),
    ],
)
async def test_wrong_ones_are_answered_alike_and_looked_at_by_nobody(
    fetcher: FetcherHarness, source: str, headers: dict[str, str]
) -> None:
    await _started(fetcher)
    fetcher.git.http.requests.clear()
    status, text = await _post(fetcher, source, BODY, headers)
    assert status == 401
    assert "KNR1030" in text
    assert text == (await _post(fetcher, "fleet", b"", {}))[1]
    assert fetcher.git.http.requests == []


@pytest.mark.parametrize("announced", [True, False])
async def test_a_giant_body_is_not_read(fetcher: FetcherHarness, announced: bool) -> None:
    await _started(fetcher)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(400):
            sent += 1
            yield b"x" * 100_000

    url = f"http://127.0.0.1:{fetcher.port}/webhook/fleet"
    headers = {"Content-Length": "40000000"} if announced else {}
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(url, data=endless(), headers=headers) as response:
                assert response.status == 413
                assert "KNR1031" in await response.text()
        except aiohttp.ClientConnectionError:
            pass  # cut off while it was still sending, which is as well
    assert sent < 400


async def test_many_wrong_ones_have_to_wait_and_a_right_one_from_there_does_not(fetcher: FetcherHarness) -> None:
    await _started(fetcher)
    statuses = [(await _post(fetcher, "fleet", BODY, {}))[0] for _ in range(30)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    signed = {"X-Hub-Signature-256": f"sha256={_signature(BODY)}"}
    assert (await _post(fetcher, "fleet", BODY, signed))[0] == 202


async def test_a_source_has_its_own_secret(fetcher: FetcherHarness) -> None:
    (fetcher.folder / "credentials.yaml").write_text("webhooks: {fleet: {secret: its own}}\n")
    fetcher.environment["KNARR_CREDENTIALS_FILE"] = str(fetcher.folder / "credentials.yaml")
    await _started(fetcher)
    assert (await _post(fetcher, "fleet", BODY, {"X-Gitea-Signature": _signature(BODY)}))[0] == 401
    assert (await _post(fetcher, "fleet", BODY, {"X-Gitea-Signature": _signature(BODY, "its own")}))[0] == 202


async def test_health_tells_how_it_stands(fetcher: FetcherHarness) -> None:
    await _started(fetcher)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{fetcher.port}") as session:

        async def ready() -> bool | None:
            async with session.get("/readyz") as response:
                return response.status == 200 or None

        await fetcher.until(ready, "readiness")
        for path, words in (("/healthz", "ok"), ("/readyz", "broker: ok"), ("/metrics", "knarr_fetcher_looks_total")):
            async with session.get(path) as response:
                assert response.status == 200
                assert words in await response.text()
