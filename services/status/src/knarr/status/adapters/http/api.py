"""`/api/v1`: each operation of openapi.yaml checked against it and handed to the flow that answers it."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import jsonschema_rs
import orjson
from aiohttp import web

from knarr.pipeline.errors import rejected
from knarr.status.adapters.http.contract import Operation, operations, text
from knarr.status.adapters.http.guard import OPERATION
from knarr.status.adapters.http.problem import problem
from knarr.status.answer import Answers
from knarr.status.operate import Handled, Operate

Parameters = Mapping[str, str]
Answer = Callable[[Parameters], Awaitable[dict[str, Any]]]
_COMPRESS_FROM = 2_000
_BODY_SECONDS = 10.0


class Api:
    """`token`: what writes must bear; empty refuses every write."""

    def __init__(self, answers: Answers, operate: Operate, token: str, deaf_seconds: Callable[[], float]) -> None:
        self._answers = answers
        self._operate = operate
        self._token = token
        self._deaf_seconds = deaf_seconds

    def routes(self) -> list[web.RouteDef]:
        """One route per operation but `stream`, and the contract itself."""
        reads, writes = self._reads(), self._writes()
        found = [web.get("/api/v1/openapi.yaml", _contract)]
        for name, operation in operations().items():
            if name in reads:
                found.append(web.get(operation.path, _reading(operation, reads[name])))
            elif name in writes:
                found.append(web.post(operation.path, self._writing(operation, writes[name])))
        return found

    def _reads(self) -> dict[str, Answer]:
        a = self._answers
        return {
            "getSummary": self._summary,
            "listClusters": a.clusters,
            "getCluster": lambda p: a.cluster(p["cluster"], p),
            "getHistory": lambda p: a.history(p["cluster"], p["app"], p),
            "listApps": a.apps,
            "getApp": lambda p: a.app(p["app"], p),
            "listCommits": a.commits,
            "getCommit": lambda p: a.commit(p["source"], p["commit"], p),
            "listRevisions": a.revisions,
            "getRevision": lambda p: a.revision(p["revision"]),
            "listSources": a.sources,
            "listEvents": a.events,
            "explain": a.explanation,
            "getMap": a.map,
            "getPlan": lambda p: self._operate.planned(p["cluster"], p["command"]),
        }

    def _writes(self) -> dict[str, Callable[[Parameters, Mapping[str, str]], Awaitable[web.Response]]]:
        return {"approveRevision": self._approve, "adoptCluster": self._adopt, "planApp": self._plan}

    async def _summary(self, parameters: Parameters) -> dict[str, Any]:
        found = await self._answers.summary(parameters)
        return {**found, "reports_unread_seconds": round(self._deaf_seconds(), 1)}

    async def _approve(self, parameters: Parameters, body: Mapping[str, str]) -> web.Response:
        handled, revision = await self._operate.approve(
            parameters["revision"], bytes.fromhex(body["evidence"]), body.get("actor", ""), body.get("reason", "")
        )
        return _handled(handled, revision=revision)

    async def _adopt(self, parameters: Parameters, body: Mapping[str, str]) -> web.Response:
        handled = await self._operate.adopt(parameters["cluster"], body.get("actor", ""), body.get("reason", ""))
        return _handled(handled, cluster=parameters["cluster"])

    async def _plan(self, parameters: Parameters, body: Mapping[str, str]) -> web.Response:
        cluster, given = parameters["cluster"], {"revision": "", "actor": "", "reason": "", **body}
        handled = await self._operate.plan(cluster, given["app"], given["revision"], given["actor"], given["reason"])
        return _handled(handled, cluster=cluster)

    def _writing(
        self, operation: Operation, act: Callable[[Parameters, Mapping[str, str]], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handle(request: web.Request) -> web.Response:
            request[OPERATION] = operation.operation_id
            self._check_token(request)
            parameters = operation.checked(dict(request.match_info), _query(request))
            return await act(parameters, await _body(operation, request))

        return handle

    def _check_token(self, request: web.Request) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        fits = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), self._token.encode())
        if scheme.lower() != "bearer" or not self._token or not fits:
            raise rejected("KNR5030", "this needs a bearer token")


def _reading(operation: Operation, answer: Answer) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        request[OPERATION] = operation.operation_id
        parameters = operation.checked(dict(request.match_info), _query(request))
        return _json(await answer(parameters))

    return handle


def _json(document: dict[str, Any]) -> web.Response:
    payload = orjson.dumps(document)
    response = web.Response(body=payload, content_type="application/json", headers={"Cache-Control": "no-store"})
    if len(payload) > _COMPRESS_FROM:
        response.enable_compression()
    return response


def _handled(handled: Handled, **about: str) -> web.Response:
    if handled.accepted:
        return _json({"command_id": handled.command_id, "accepted": True, **about})
    failure = handled.failure or {}
    return problem(
        str(failure.get("code") or "KNR5041"),
        str(failure.get("message") or "rollout refused it"),
        status=409,
        next_step=str(failure.get("next_step") or ""),
    )


def _query(request: web.Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name in found:
            raise rejected("KNR5021", f"{name[:80]} is given twice")
        if "\0" in value or "\0" in name:
            raise rejected("KNR5021", f"{name[:80]!r} is not valid")
        found[name] = value
    return found


async def _body(operation: Operation, request: web.Request) -> Mapping[str, str]:
    if request.content_type != "application/json":
        raise rejected("KNR5032", "the body must be application/json")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            body = json.loads(await request.read() or b"{}")
    except TimeoutError as error:
        raise rejected("KNR5032", f"the body did not come within {_BODY_SECONDS:g} s") from error
    except (ValueError, RecursionError) as error:
        raise rejected("KNR5032", "the body is not JSON") from error
    if operation.body is not None and not operation.body.is_valid(body):
        if operation.operation_id == "approveRevision" and _lacks_evidence(operation.body, body):
            raise rejected("KNR5052", "the approval does not name what was shown")
        raise rejected("KNR5032", "the body is not of the stated shape")
    found: Mapping[str, str] = body
    return found


def _lacks_evidence(shape: jsonschema_rs.Draft202012Validator, body: Any) -> bool:
    """Whether nothing else is wrong with it."""
    return isinstance(body, dict) and bool(shape.is_valid({**body, "evidence": "0" * 64}))


async def _contract(request: web.Request) -> web.Response:
    return web.Response(text=text(), content_type="application/yaml")
