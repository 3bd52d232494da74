"""Asks a server's own health endpoint. Used while a server starts; waiting and deadlines are `process`'s business."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiohttp

_ONE_TRY = aiohttp.ClientTimeout(total=5.0)


async def answers_ok(url: str, *, ca_file: Path | None = None, token: str | None = None) -> bool:
    """Whether GET `url` answers 200. An HTTPS server is checked against `ca_file`; while that is missing, False."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        context = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
        async with aiohttp.ClientSession(timeout=_ONE_TRY) as session:
            async with session.get(url, ssl=context, headers=headers) as answer:
                return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        # Also a certificate file that is not there yet or half written: ssl.SSLError is an OSError.
        return False
