"""What every request passes: the Host check, security headers, one canonical log event, errors as problems."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from knarr.pipeline.errors import KnarrError
from knarr.status import metrics
from knarr.status.adapters.http.problem import problem, problem_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LOG = structlog.get_logger("knarr.status.http")

# The page's own scripts and styles and nothing else; no inline script, no frame, no form elsewhere.
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Frame-Options": "DENY",
}
# What a handler answers, for the log and the metrics.
OPERATION = web.RequestKey("operation", str)
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?", re.ASCII)
# Probes come from kubelets and Prometheus under any name.
_ANY_HOST = frozenset({"/healthz", "/readyz", "/metrics"})


def guard(hosts: frozenset[str]) -> Middleware:
    """The outermost middleware. `hosts`: names (without port) under which this server may be addressed."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.monotonic()
        operation = "page"
        try:
            if not _known_host(request, hosts):
                response: web.StreamResponse = problem("KNR5031", "this server does not answer to that name")
            else:
                response = await handler(request)
                operation = request.get(OPERATION, "page")
        except web.HTTPException as error:
            response = _plain(error)
        except KnarrError as error:
            response = problem_of(error)
            operation = request.get(OPERATION, "page")
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception:
            LOG.exception("request failed", method=request.method, path=request.path[:200])
            response = problem("KNR5050", "the cause is in the log")
        if not response.prepared:
            response.headers.update(_HEADERS)
        _record(request, response, operation, time.monotonic() - started)
        return response

    return middleware


def secure(response: web.StreamResponse) -> None:
    """The headers for a response that is prepared inside its handler."""
    response.headers.update(_HEADERS)


def _known_host(request: web.Request, hosts: frozenset[str]) -> bool:
    if request.path in _ANY_HOST:
        return True
    given = request.headers.getall("Host", [])
    return len(given) == 1 and host_name(given[0]) in hosts


def host_name(header: str) -> str:
    """The name in a Host header, without its port; empty for what is no `host[:port]` to the letter."""
    found = _HOST.fullmatch(header.lower())
    return found["name"] if found else ""


def _plain(error: web.HTTPException) -> web.Response:
    if error.status == 413:
        return problem("KNR5032", "the body is too large", status=413)
    if error.status == 405:
        return problem("KNR5021", "this address has no such method", status=405, allow=error.headers.get("Allow", ""))
    if error.status == 404:
        return problem("KNR5020", "there is nothing at this address")
    if 300 <= error.status < 400:
        return web.Response(status=error.status, headers={"Location": error.headers.get("Location", "/")})
    return problem("KNR5032", error.reason, status=error.status)


def _record(request: web.Request, response: web.StreamResponse, operation: str, seconds: float) -> None:
    if request.path in _ANY_HOST:
        return
    metrics.REQUESTS.labels(operation, f"{response.status // 100}xx").inc()
    if operation != "stream":
        metrics.REQUEST_SECONDS.labels(operation).observe(seconds)
    level = LOG.warning if response.status >= 500 else LOG.debug
    level(
        "request answered",
        operation=operation,
        method=request.method,
        status=response.status,
        seconds=round(seconds, 4),
    )
