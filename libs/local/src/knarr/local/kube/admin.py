"""A cluster's administrator as plain HTTP: set-up and looking in tests. Not the agent's client."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from knarr.local.kube.identity import Identity
from knarr.pipeline.errors import retryable

_TIMEOUT = aiohttp.ClientTimeout(total=30.0)


class Admin:
    """Requests with the administrator's token, checked against the server's own certificate."""

    def __init__(self, url: str, identity: Identity) -> None:
        self._url, self._identity = url, identity

    async def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        token: str | None = None,
    ) -> tuple[int, Any]:
        """Send one request: its status and decoded answer. Server-side apply: PATCH as application/apply-patch+yaml."""
        context = ssl.create_default_context(cafile=str(self._identity.ca_file))
        headers = {"Authorization": f"Bearer {token or self._identity.admin_token}", "Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            async with session.request(method, self._url + path, data=data, headers=headers, ssl=context) as answer:
                text = await answer.text()
        return answer.status, _decoded(text)

    async def create(self, path: str, body: Mapping[str, Any]) -> None:
        """POST `body`; that it is there already is fine. Raises KNR6117."""
        status, answer = await self.request("POST", path, body)
        if status not in {200, 201, 202, 409}:
            raise retryable("KNR6117", f"POST {path} answered {status}: {_reason(answer)}")

    async def until(
        self, path: str, holds: Callable[[Any], bool], *, deadline_seconds: float = 30.0, poll_seconds: float = 0.05
    ) -> Any:
        """GET `path` until its object exists and `holds`; that object. Raises KNR6117 after the deadline."""
        deadline = time.monotonic() + deadline_seconds
        while True:
            status, answer = await self.request("GET", path)
            if status == 200 and holds(answer):
                return answer
            if time.monotonic() > deadline:
                raise retryable(
                    "KNR6117", f"GET {path}: not as awaited after {deadline_seconds:g} s, last status {status}"
                )
            await asyncio.sleep(poll_seconds)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _reason(answer: object) -> str:
    return str(answer.get("message", "")) if isinstance(answer, dict) else str(answer)[:200]
