"""The real Gitea: accounts, repositories, a signed push webhook and commit statuses."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from knarr.local.gitea import GiteaServer
from knarr.local.ports import free_port

pytestmark = [pytest.mark.gitea, pytest.mark.timeout(1200)]


@asynccontextmanager
async def _receiver(arrived: asyncio.Queue[tuple[dict[str, str], bytes]]) -> AsyncIterator[str]:
    async def receive(request: web.Request) -> web.Response:
        await arrived.put((dict(request.headers), await request.read()))
        return web.Response(status=202)

    application = web.Application()
    application.router.add_post("/hook", receive)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/hook"
    await runner.cleanup()


def _file(text: str) -> dict[str, Any]:
    return {"content": base64.b64encode(text.encode()).decode(), "message": "change", "branch": "main"}


async def test_a_push_sends_a_signed_webhook_and_takes_a_commit_status(tmp_path: Path) -> None:
    arrived: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
    async with GiteaServer(tmp_path) as gitea, _receiver(arrived) as hook:
        repository = f"/repos/{gitea.admin.name}/fleet"
        assert (await gitea.request("POST", "/user/repos", {"name": "fleet", "auto_init": True}))[0] == 201
        config = {"url": hook, "content_type": "json", "secret": "s3cret"}
        subscription = {"type": "gitea", "config": config, "events": ["push"], "active": True}
        assert (await gitea.request("POST", f"{repository}/hooks", subscription))[0] == 201

        status, made = await gitea.request("POST", f"{repository}/contents/fleet.yaml", _file("a: 1\n"))
        assert status == 201, made
        commit = made["commit"]["sha"]
        async with asyncio.timeout(20):
            headers, body = await arrived.get()
        signature = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        assert headers["X-Gitea-Signature"] == signature
        assert headers["X-Hub-Signature-256"] == f"sha256={signature}"
        assert commit in body.decode()

        state = {"state": "success", "context": "knarr", "description": "398/412 healthy"}
        assert (await gitea.request("POST", f"{repository}/statuses/{commit}", state))[0] == 201
        _, combined = await gitea.request("GET", f"{repository}/commits/{commit}/status")
        assert combined["state"] == "success"


async def test_accounts_and_repositories_outlive_a_restart_and_rights_hold(tmp_path: Path) -> None:
    async with GiteaServer(tmp_path) as gitea:
        stranger = await gitea.create_user("stranger")
        await gitea.request("POST", "/user/repos", {"name": "secret", "private": True, "auto_init": True})
        path = f"/repos/{gitea.admin.name}/secret"
        assert (await gitea.request("GET", path, user=stranger))[0] == 404

    async with GiteaServer(tmp_path) as again:
        assert (await again.request("GET", path))[0] == 200
        assert (await again.request("GET", "/user", user=stranger))[1]["login"] == "stranger"
