"""Bounded requests to strangers' web servers, through aiohttp.

Never more bytes than the caller allows, never longer than the deadline, never decompressed on the way, and never to
another host than the one asked unless the installation lists it. A login goes to the host it is meant for only.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp

from knarr.fetcher.core.address import shown
from knarr.pipeline.errors import rejected, retryable

_REDIRECTS = 3
_MOVED = (301, 302, 303, 307, 308)
_NOT_YET = (408, 425, 429)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `authorization` is sent to the host of `url` only."""

    url: str
    limit: int
    accept: str = "*/*"
    authorization: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said; `url` is where it said it."""

    url: str
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Web:
    """Asks. Close it."""

    def __init__(self, *, hosts: frozenset[str], plain_http: bool, ca_bundle: Path | None, seconds: float = 20) -> None:
        self._hosts, self._plain_http, self._ca_bundle, self._seconds = hosts, plain_http, ca_bundle, seconds
        self._session: aiohttp.ClientSession | None = None

    def is_allowed(self, url: str, asked: str) -> bool:
        """Whether an address may be followed from `asked`: the same server, or a listed host."""
        if not self.is_safe(url):
            return False
        return _origin(url) == _origin(asked) or (urlsplit(url).hostname or "") in self._hosts

    def is_safe(self, url: str) -> bool:
        """Whether the address is one of https (or http, where that is allowed) and holds no login."""
        try:
            to = urlsplit(url)
            to.port  # noqa: B018 - raises for a port that is none
        except ValueError:
            return False
        return to.username is None and (to.scheme == "https" or (to.scheme == "http" and self._plain_http))

    async def get(self, ask: Ask) -> Answer:
        """The answer, whatever its status. KNR1050, KNR1053, KNR1056."""
        url = ask.url
        for _ in range(_REDIRECTS + 1):
            answer = await self._once(ask, url)
            if answer.status not in _MOVED:
                return answer
            url = urljoin(url, answer.headers.get("Location", ""))
            if not self.is_allowed(url, ask.url):
                raise rejected("KNR1056", f"{shown(ask.url)} leads to {shown(url)}")
        raise rejected("KNR1056", f"{shown(ask.url)} leads on more than {_REDIRECTS} times")

    async def fetched(self, ask: Ask) -> Answer:
        """An answer that is 200. KNR1050–KNR1052 for others."""
        return check_status(await self.get(ask), ask.url)

    async def close(self) -> None:
        """Ends connections."""
        if self._session is not None:
            await self._session.close()

    async def _once(self, ask: Ask, url: str) -> Answer:
        headers = {"Accept": ask.accept, "Accept-Encoding": "identity", "User-Agent": "knarr-fetcher"}
        if ask.authorization and _origin(url) == _origin(ask.url):
            headers["Authorization"] = ask.authorization
        try:
            async with self._open().get(
                url, headers=headers, allow_redirects=False, proxy=ask.proxy or None
            ) as response:
                encoding = response.headers.get("Content-Encoding", "identity").lower()
                if encoding not in ("", "identity"):
                    raise rejected("KNR1053", f"{shown(url)} answers in the encoding {encoding[:20]!r}, unasked")
                body = await _bounded(response, ask.limit, url)
                return Answer(url=url, status=response.status, body=body, headers=response.headers.copy())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise retryable("KNR1050", f"{shown(url)}: {type(error).__name__}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=str(self._ca_bundle) if self._ca_bundle else None)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit=8),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=5),
                auto_decompress=False,
            )
        return self._session


def check_status(answer: Answer, asked: str) -> Answer:
    """The answer if it is 200; else the number for its status."""
    if answer.status == 200:
        return answer
    if answer.status in (401, 403):
        raise rejected("KNR1051", f"{shown(asked)} answers {answer.status}")
    if answer.status >= 500 or answer.status in _NOT_YET:
        raise retryable("KNR1050", f"{shown(asked)} answers {answer.status}")
    raise rejected("KNR1052", f"{shown(asked)} answers {answer.status}")


async def _bounded(response: aiohttp.ClientResponse, limit: int, url: str) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > limit:
            raise rejected("KNR1053", f"{shown(url)} answers with more than {limit} bytes")
    return bytes(body)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port
