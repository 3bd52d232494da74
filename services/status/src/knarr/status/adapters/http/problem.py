"""Errors as `application/problem+json` (RFC 9457) with their number and what to do next."""

from __future__ import annotations

import json

from aiohttp import web

from knarr.pipeline.errors import CATALOGUE, KnarrError, Retryable

_STATUS = {
    "KNR5020": 404,
    "KNR5021": 400,
    "KNR5022": 400,
    "KNR5030": 401,
    "KNR5031": 421,
    "KNR5032": 415,
    "KNR5033": 503,
    "KNR5040": 504,
    "KNR5041": 409,
    "KNR5042": 409,
    "KNR5050": 500,
    "KNR5052": 428,
}


def problem(code: str, detail: str, *, status: int | None = None, next_step: str = "", allow: str = "") -> web.Response:
    """The response for one numbered error."""
    entry = CATALOGUE.get(code)
    number = status or _STATUS.get(code, 409)
    body = {
        "type": f"/errors/{code}",
        "title": entry.title if entry else "Refused",
        "status": number,
        "code": code,
        "detail": detail,
        "next_step": next_step or (entry.next_step if entry else ""),
    }
    headers = {"Allow": allow} if allow else {}
    if number == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if number in (503, 504):
        headers["Retry-After"] = "2"
    return web.Response(text=json.dumps(body), status=number, content_type="application/problem+json", headers=headers)


def problem_of(error: KnarrError) -> web.Response:
    """The response for an exception of ours: what may pass is 503."""
    status = _STATUS.get(error.code) or (503 if isinstance(error, Retryable) else None)
    return problem(error.code, error.message, status=status)
