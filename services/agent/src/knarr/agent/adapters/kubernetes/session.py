"""HTTP to one API server: credentials, a limit of requests at once, retries that respect 429 and Retry-After.

kubernetes_asyncio reads kubeconfigs, in-cluster files, client certificates, exec plugins and proxies, and renews
tokens; the session is its aiohttp session. Bodies are bytes both ways: nothing walks them.
"""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson

from knarr.agent.adapters.kubernetes.library import load
from knarr.agent.core.refusals import refusal
from knarr.agent.ports import AGENT, As
from knarr.pipeline.errors import KnarrError, rejected, retryable
from knarr.pipeline.names import ObjectId

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=5)
_TRIES = 4
_LARGE = 2**20  # bytes; sent piece by piece, so that the loop goes on
_FAREWELL_SECONDS = 0.05  # TLS connections end with an answer, and aiohttp does not wait for it
_LONGEST_RETRY_AFTER = 30.0
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
NO_OBJECT = ObjectId("")


async def credentials(kubeconfig: Path | None, context: str) -> Any:
    """A kubernetes_asyncio Configuration: from a kubeconfig, or from the pod that we run in. KNR4019 if unusable.

    Its `read_again` (ours) gives the same from the files as they are then.
    """
    library = load()
    configuration = library.client.Configuration()
    try:
        if kubeconfig is None:
            library.config.load_incluster_config(client_configuration=configuration)
        else:
            await library.config.load_kube_config(
                config_file=str(kubeconfig),
                context=context or None,
                client_configuration=configuration,
                temp_file_path=None,
            )
    except (library.config.ConfigException, OSError) as error:
        raise rejected("KNR4019", f"the cluster's credentials cannot be used: {error}") from error
    configuration.read_again = lambda: credentials(kubeconfig, context)
    return configuration


class Session:
    """`async with Session(configuration, requests_at_once) as session`."""

    def __init__(self, configuration: Any, requests_at_once: int) -> None:
        configuration.connection_pool_maxsize = requests_at_once + 64  # watches hold a connection each
        self._configuration = configuration
        self._turns = asyncio.Semaphore(requests_at_once)
        self._rest: Any = None
        self._http: aiohttp.ClientSession
        self._host = configuration.host
        self._paused_until = 0.0
        self._renewing = asyncio.Lock()
        self._renewed_at = float("-inf")
        self.requests = 0

    async def __aenter__(self) -> Self:
        self._rest = load().client.rest.RESTClientObject(self._configuration)
        # Its own session asks a thread for netrc and proxy variables at every request; its connector is what we want.
        self._http = aiohttp.ClientSession(
            connector=self._rest.pool_manager.connector,
            connector_owner=False,
            auto_decompress=False,
            read_bufsize=2**21,
        )
        self._fixed = self._proxy()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        await self._rest.close()
        await asyncio.sleep(_FAREWELL_SECONDS)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        who: As = AGENT,
        identity: ObjectId = NO_OBJECT,
    ) -> tuple[int, Any]:
        """(status, decoded answer) of a success; else the numbered error.

        429 and 503 with Retry-After are waited out, a few times; an expired token is read again once.
        """
        data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
        headers = {
            "Accept": accept,
            "Accept-Encoding": "identity",
            **({"Content-Type": content_type} if data is not None else {}),
        }
        for attempt in range(_TRIES):
            status, answer, pause = await self._once(method, path, data, headers, who, identity)
            if status < 300:
                return status, answer
            renewed = status == 401 and attempt == 0 and await self._renew()
            if attempt == _TRIES - 1 or not (pause or renewed):
                raise refusal(status, answer if isinstance(answer, Mapping) else {}, identity)
            self._pause(pause)
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def stream(
        self, path: str, *, accept: str, seconds: float, who: As = AGENT
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of a long answer, read as it comes; a silence longer than `seconds` ends it."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=seconds)
        headers = {"Accept": accept, "Accept-Encoding": "identity", **await self._identity(who)}
        try:
            async with self._http.get(self._host + path, headers=headers, timeout=timeout, **self._fixed) as response:
                if response.status == 401:
                    await self._renew()
                if response.status != 200:
                    raise refusal(response.status, _decoded(await response.read()), NO_OBJECT)
                try:
                    yield response.content
                finally:
                    _abort(response)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise retryable("KNR4012", f"watch interrupted: {type(error).__name__}") from error

    async def _once(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str], who: As, identity: ObjectId
    ) -> tuple[int, Any, float]:
        async with self._turns:
            await self._wait_out()
            sent = {**headers, **await self._identity(who)}
            self.requests += 1
            try:
                async with self._http.request(
                    method,
                    self._host + path,
                    data=data if data is None or len(data) < _LARGE else io.BytesIO(data),
                    headers=sent,
                    timeout=_TIMEOUT,
                    **self._fixed,
                ) as response:
                    raw = await response.read()
                    pause = _retry_after(response.headers, response.status)
                    return response.status, _decoded(raw), pause
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                text = f"the API server did not answer: {type(error).__name__}"
                raise retryable("KNR4012", text, object_id=identity) from error

    async def _renew(self) -> bool:
        """Reads token files and kubeconfig again, at most once a second; the library looks at them once a minute."""
        async with self._renewing:
            now = asyncio.get_running_loop().time()
            if now - self._renewed_at < 1.0:
                return True
            try:
                fresh = await self._configuration.read_again()
            except KnarrError:
                return False
            self._renewed_at = now
            self._configuration.api_key = fresh.api_key
            self._configuration.refresh_api_key_hook = fresh.refresh_api_key_hook
            return True

    async def _identity(self, who: As) -> dict[str, str]:
        token = await self._configuration.get_api_key_with_prefix("BearerToken")
        headers = {"Authorization": token} if token else {}
        if who == AGENT:
            return headers
        if not who.namespace or not who.service_account:
            raise rejected("KNR4025", "a service account without a name cannot be impersonated")
        user = f"system:serviceaccount:{who.namespace}:{who.service_account}"
        return {**headers, "Impersonate-User": user}

    def _proxy(self) -> dict[str, Any]:
        proxy = self._configuration.proxy or _proxy_of_environment(self._host)
        given: dict[str, Any] = {"server_hostname": self._configuration.tls_server_name or None}
        return {**given, "proxy": proxy, "proxy_headers": self._configuration.proxy_headers} if proxy else given

    def _pause(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._paused_until = max(self._paused_until, now + seconds * random.uniform(1.0, 1.3))  # noqa: S311

    async def _wait_out(self) -> None:
        left = self._paused_until - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)


def _abort(response: aiohttp.ClientResponse) -> None:
    """Leaves without TLS's farewell, which would wait for an answer that nobody reads."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()


def _proxy_of_environment(host: str) -> str:
    where = urlsplit(host)
    found = getproxies().get(where.scheme, "")
    return "" if not found or proxy_bypass(where.netloc) else found


def _retry_after(headers: Mapping[str, str], status: int) -> float:
    if status not in (429, 503):
        return 0.0
    given = headers.get("Retry-After", "")
    return min(_LONGEST_RETRY_AFTER, float(given)) if given.isdigit() else (1.0 if status == 429 else 0.0)


def _decoded(raw: bytes) -> Any:
    try:
        return orjson.loads(raw) if raw else {}
    except orjson.JSONDecodeError:
        return {"message": raw[:200].decode(errors="replace")}
