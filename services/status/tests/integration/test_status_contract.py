"""The API against openapi.yaml, and what it refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import jsonschema
import pytest
import yaml
from yarl import URL

from knarr.pipeline.errors import CATALOGUE
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import AppState
from knarr.pipeline.schemas import SCHEMA_NAMES, schema_bytes
from knarr.status.adapters.http.contract import text

DOCUMENT = yaml.safe_load(text())


def _schema(path: str, status: str = "200") -> dict[str, Any]:
    response = DOCUMENT["paths"][path]["get"]["responses"][status]
    while "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    found: dict[str, Any] = response["content"]["application/json"]["schema"]
    return {**found, "components": DOCUMENT["components"]}


async def _busy(hub: Any, story: Any) -> tuple[str, str]:
    """A fleet with one of everything; the commit and the held revision."""
    first = await story.commit("one")
    made = await story.render(first, {"web": ["/Service/x/a"], "shop": ["/Service/x/b", "/Namespace//x"]})
    await story.assign(first, made)
    for cluster in story.clusters:
        await story.beat(cluster)
        await story.report(cluster, "web", AppState.HEALTHY)
    await story.report("dev-1", "shop", AppState.FAILED, failures=(Failure(code="KNR4001", message="no"),))
    bad = await story.commit("two")
    failure = Failure(code="KNR2001", message="no such base")
    await story.render(bad, {}, unchanged=["shop"], failed={"web": failure})
    commit = await story.commit("three")
    held = await story.render(commit, {"shop": ["/Service/x/b"]}, unchanged=["web"])
    await story.hold(commit, held["shop"], ["/Namespace//x"], 2)
    await hub.until("revisions", lambda r: r["items"], state="held")
    await hub.until("apps/shop", lambda a: a["standings"]["failed"] == 1)
    await hub.until("events", lambda e: len(e["items"]) >= 3)
    return commit.sha, held["shop"].revision


async def test_every_answer_has_the_stated_shape(hub: Any, story: Any) -> None:
    sha, revision = await _busy(hub, story)
    parameters = {"cluster": "dev-1", "app": "shop", "source": "fleet", "commit": sha, "revision": revision}
    parameters["command"] = "0123456789abcdef"
    checked = 0
    for path, item in DOCUMENT["paths"].items():
        if "get" not in item or path.endswith("/stream"):
            continue
        query = {
            p["name"]: parameters[p["name"]]
            for p in item["get"].get("parameters", ())
            if p.get("required") and p["in"] == "query"
        }
        answer = await hub.get(path.format(**parameters).removeprefix("/api/v1/"), **query)
        jsonschema.validate(answer, _schema(path), cls=jsonschema.Draft202012Validator)
        checked += 1
    assert checked == len(DOCUMENT["paths"]) - 4  # the stream and three writes


REFUSED = [
    ("clusters?limit=0", 400, "KNR5021"),
    ("clusters?limit=100000", 400, "KNR5021"),
    ("clusters?limit=1e3", 400, "KNR5021"),
    ("clusters?colour=blue", 400, "KNR5021"),
    ("clusters?limit=5&limit=6", 400, "KNR5021"),
    ("clusters?standing=sad", 400, "KNR5021"),
    ("clusters?labels=env", 400, "KNR5021"),
    ("clusters?q=%00", 400, "KNR5021"),
    ("clusters?continue=AAAA", 400, "KNR5022"),
    ("clusters?commit=abcdef", 400, "KNR5021"),
    ("clusters/No_Such", 400, "KNR5021"),
    ("clusters/nosuch", 404, "KNR5020"),
    ("apps/nosuch", 404, "KNR5020"),
    ("commits/fleet/abcdef", 404, "KNR5020"),
    ("revisions/abcdef", 404, "KNR5020"),
    ("revisions/%25%25%25%25", 400, "KNR5021"),
    ("explain?cluster=x", 400, "KNR5021"),
    ("nothing", 404, "KNR5020"),
    ("../../../etc/passwd", 404, "KNR5020"),
]


@pytest.mark.parametrize(("path", "status", "code"), REFUSED, ids=[r[0] for r in REFUSED])
async def test_what_is_wrong_gets_a_number_and_a_next_step(hub: Any, path: str, status: int, code: str) -> None:
    async with hub.http.get(f"{hub.url}/api/v1/{path}") as response:
        assert response.content_type == "application/problem+json"
        body = await response.json()
    jsonschema.validate(body, {**DOCUMENT["components"]["schemas"]["Problem"], "components": DOCUMENT["components"]})
    assert (response.status, body["code"]) == (status, code)
    assert body["next_step"] == CATALOGUE[code].next_step


@pytest.mark.parametrize(
    ("content_type", "payload", "status"),
    [
        ("text/plain", b"{}", 415),
        ("application/x-www-form-urlencoded", b"reason=x", 415),
        ("application/json", b"{", 415),
        ("application/json", b"[]", 415),
        ("application/json", b"[" * 60_000, 415),
        ("application/json", b'{"force": true}', 415),
        ("application/json", b'{"reason": "' + b"x" * 100_000 + b'"}', 413),
    ],
)
async def test_bodies_of_another_shape_are_refused(hub: Any, content_type: str, payload: bytes, status: int) -> None:
    headers = {"Authorization": "Bearer sesame", "Content-Type": content_type}
    url = f"{hub.url}/api/v1/revisions/abcdef/approve"
    async with hub.http.post(url, data=payload, headers=headers) as response:
        body = await response.json()
    assert (response.status, body["code"]) == (status, "KNR5032")


async def test_a_token_that_is_no_text_is_a_wrong_token(hub: Any) -> None:
    asked = b"POST /api/v1/revisions/abcdef/approve HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    url = URL(hub.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(asked + b"Authorization: Bearer \xff\xfe\r\n\r\n")
    async with asyncio.timeout(10.0):
        assert await reader.readline() == b"HTTP/1.1 401 Unauthorized\r\n"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "",
        "evil.example:80",
        "[::2]",
        "[::1]evil.example",
        "[::1]:80evil",
        "[::1]:evil.example",
        "127.0.0.1:80:evil.example",
        "127.0.0.1@evil.example",
        "localhost/evil.example",
        "127.0.0.1:",
        "localhost evil.example",
        "[::1",
        "::1",
    ],
)
async def test_other_names_are_not_answered(hub: Any, host: str) -> None:
    for path in ("/", "/api/v1/summary", "/assets/main.js"):
        async with hub.http.get(hub.url + path, headers={"Host": host}) as response:
            assert response.status == 421
    async with hub.http.get(f"{hub.url}/healthz", headers={"Host": host}) as response:
        assert response.status == 200


@pytest.mark.parametrize("name", SCHEMA_NAMES)
async def test_the_schemas_of_the_documents_are_served_as_they_are_published(hub: Any, name: str) -> None:
    async with hub.http.get(f"{hub.url}/schemas/v1/{name}.json") as response:
        assert response.status == 200
        assert response.content_type == "application/schema+json"
        assert await response.read() == schema_bytes(name)


async def test_every_response_is_guarded(hub: Any) -> None:
    for path in (
        "/",
        "/clusters/dev-1",
        "/assets/main.js",
        "/assets/style.css",
        "/api/v1/summary",
        "/api/v1/stream",
        "/nothing",
    ):
        async with hub.http.get(hub.url + path) as response:
            policy = response.headers["Content-Security-Policy"]
            assert "script-src 'self'" in policy
            assert "unsafe" not in policy
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_methods_that_do_not_exist_are_named(hub: Any) -> None:
    async with hub.http.post(f"{hub.url}/api/v1/summary") as response:
        assert response.status == 405
        assert (await response.json())["code"] == "KNR5021"


async def test_readiness_and_metrics(hub: Any, story: Any) -> None:
    await story.beat("dev-1")
    await hub.until("clusters", lambda c: c["items"])
    async with hub.http.get(f"{hub.url}/readyz") as response:
        assert (response.status, await response.text()) == (200, "broker: ok\n")
    async with hub.http.get(f"{hub.url}/metrics") as response:
        body = await response.text()
    assert 'knarr_status_messages_total{outcome="done",stream="REPORTS"}' in body
    assert "dev-1" not in body  # names are never labels
