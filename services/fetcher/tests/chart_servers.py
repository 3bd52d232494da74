"""Real servers of charts for tests: a Helm repository, and the part of an OCI registry that charts need."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import ssl
import tarfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import yaml
from aiohttp import web

LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
TOKEN = "registry-token"


def chart(name: str, version: str, files: dict[str, str] | None = None) -> bytes:
    """A chart's archive as `helm package` makes it."""
    described = {"Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n", **(files or {})}
    return tar_gz([(f"{name}/{path}", content.encode()) for path, content in described.items()])


def tar_gz(members: Iterable[tuple[str, bytes]], extra: Iterable[tarfile.TarInfo] = ()) -> bytes:
    """An archive of files, and of members without content."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for path, content in members:
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for info in extra:
            tar.addfile(info)
    return gzip.compress(raw.getvalue(), mtime=0)


@dataclass(slots=True, kw_only=True)
class HelmServer:
    """A Helm repository. `charts`: (name, version) → archive; `index` replaces what it would answer."""

    url: str = ""
    charts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    index: bytes | None = None
    refuse_with: int | None = None
    redirect: str = ""
    encoding: str = ""
    login: str = ""
    requests: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        if self.login and request.headers.get("Authorization") != _basic(self.login):
            return web.Response(status=401)
        if self.refuse_with is not None:
            return web.Response(status=self.refuse_with)
        if self.redirect:
            return web.Response(status=302, headers={"Location": self.redirect})
        if request.path.endswith("/index.yaml"):
            headers = {"Content-Encoding": self.encoding} if self.encoding else {}
            return web.Response(body=self.index if self.index is not None else self._made_index(), headers=headers)
        name, _, version = request.path.rpartition("/")[2].removesuffix(".tgz").rpartition("-")
        archive = self.charts.get((name, version))
        return web.Response(status=404) if archive is None else web.Response(body=archive)

    def _made_index(self) -> bytes:
        entries: dict[str, list[dict[str, object]]] = {}
        for (name, version), archive in self.charts.items():
            digest = self.digests.get((name, version), hashlib.sha256(archive).hexdigest())
            entry: dict[str, object] = {
                "name": name,
                "version": version,
                "digest": digest,
                "urls": [f"{name}-{version}.tgz"],
            }
            entries.setdefault(name, []).append(entry)
        return yaml.safe_dump({"apiVersion": "v1", "entries": entries}).encode()


def _basic(login: str) -> str:
    return "Basic " + base64.b64encode(login.encode()).decode()


@dataclass(slots=True, kw_only=True)
class OciServer:
    """A registry that wants a token of its own for every read. `charts`: (repository, tag) → archive."""

    url: str = ""
    charts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    realm: str = ""
    requests: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.path)
        if request.path == "/token":
            return web.json_response({"token": TOKEN})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            realm = self.realm or f"{self.url}/token"
            challenge = f'Bearer realm="{realm}",service="test",scope="repository:x:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        repository, kind, what = request.path.removeprefix("/v2/").rsplit("/", 2)
        blobs = {f"sha256:{hashlib.sha256(a).hexdigest()}": a for (r, _), a in self.charts.items() if r == repository}
        if kind == "tags":
            tags = [tag for r, tag in self.charts if r == repository]
            return web.json_response({"name": repository, "tags": tags}) if tags else web.Response(status=404)
        if kind == "blobs" and what in blobs:
            return web.Response(body=blobs[what])
        if kind == "manifests" and (repository, what) in self.charts:
            archive = self.charts[repository, what]
            layer = {
                "mediaType": LAYER,
                "digest": f"sha256:{hashlib.sha256(archive).hexdigest()}",
                "size": len(archive),
            }
            body = json.dumps({"schemaVersion": 2, "layers": [layer]}).encode()
            stated = f"sha256:{hashlib.sha256(body).hexdigest()}"
            return web.Response(body=body, headers={"Docker-Content-Digest": stated})
        return web.Response(status=404)


@dataclass(slots=True, kw_only=True)
class TokenServer:
    """Gives the registry's token to who logs in: a host of its own, as Docker Hub and GitLab have."""

    url: str = ""
    login: str = ""
    logins: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        self.logins.append(given)
        if given != _basic(self.login):
            return web.Response(status=401)
        return web.json_response({"token": TOKEN})


@asynccontextmanager
async def served(
    server: HelmServer | OciServer | TokenServer, tls: ssl.SSLContext | None = None
) -> AsyncIterator[None]:
    """The server on a free loopback port; `url` says where."""
    application = web.Application()
    application.router.add_route("GET", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()
