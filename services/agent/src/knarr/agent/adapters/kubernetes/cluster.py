"""The `Cluster` port on a real API server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson

from knarr.agent.adapters.kubernetes.discovery import Discovery
from knarr.agent.adapters.kubernetes.session import APPLY, JSON_PATCH, Session
from knarr.agent.core.objects import Kind, Ref, ref_of
from knarr.agent.core.ownership import NAMESPACE_MANAGER
from knarr.agent.core.refusals import refusal
from knarr.agent.ports import AGENT, Applied, As, ClusterIdentity, Event, EventType, Page, Selection, WatchExpired
from knarr.bundle.canonical import Object
from knarr.pipeline.errors import KnarrError, retryable
from knarr.pipeline.names import FIELD_MANAGER, ObjectId

_PAGE = 250
_WATCH_SECONDS = 300
_SILENCE_SECONDS = 330.0
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_DEFINITION = Kind("apiextensions.k8s.io", "CustomResourceDefinition")
_NAMESPACES = "/api/v1/namespaces"


class KubernetesCluster:
    """`async with KubernetesCluster(configuration) as cluster`."""

    def __init__(self, configuration: Any, *, requests_at_once: int = 12) -> None:
        self.session = Session(configuration, requests_at_once)
        self._discovery = Discovery(self.session, time.monotonic)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    # --- Reading -----------------------------------------------------------------

    async def identity(self) -> ClusterIdentity:
        """See the port."""
        _, found = await self.session.ask("GET", f"{_NAMESPACES}/kube-system", accept=_METADATA)
        _, version = await self.session.ask("GET", "/version")
        return ClusterIdentity(uid=found["metadata"]["uid"], version=str(version.get("gitVersion", "")))

    async def capabilities(self) -> tuple[str, ...] | None:
        """See the port."""
        return await self._discovery.capabilities()

    async def serves(self, kind: Kind) -> bool:
        """See the port."""
        return await self._discovery.find(kind) is not None

    async def get(self, ref: Ref, *, metadata_only: bool = False, who: As = AGENT) -> Object | None:
        """See the port."""
        path = await self._path(ref, any_version=metadata_only)
        accept = _METADATA if metadata_only else "application/json"
        try:
            _, found = await self.session.ask("GET", path, accept=accept, who=who, identity=ref.id)
        except KnarrError as error:
            if error.code in ("KNR4010", "KNR4016"):  # the path is of a kind that is served: so it is the object
                return None
            raise
        result: Object = found
        return result

    async def pages(self, what: Selection, *, who: As = AGENT) -> AsyncIterator[Page]:
        """See the port."""
        path = await self._discovery.path(what.kind, "", what.namespace)
        accept = _METADATA_LIST if what.metadata_only else "application/json"
        proceed = ""
        while True:
            query = {"limit": str(_PAGE), **_label(what), **({"continue": proceed} if proceed else {})}
            _, page = await self.session.ask("GET", f"{path}?{urlencode(query)}", accept=accept, who=who)
            proceed = page["metadata"].get("continue", "")
            yield Page(items=tuple(page.get("items") or ()), version=page["metadata"]["resourceVersion"])
            if not proceed:
                return

    async def watch(self, what: Selection, version: str) -> AsyncIterator[Event]:
        """See the port."""
        path = await self._discovery.path(what.kind, "", what.namespace)
        query = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_SECONDS),
            **_label(what),
        }
        accept = _METADATA if what.metadata_only else "application/json"
        try:
            async with self.session.stream(
                f"{path}?{urlencode(query)}", accept=accept, seconds=_SILENCE_SECONDS
            ) as lines:
                async for line in _lines(lines):
                    if (event := _event(line)) is not None:
                        yield event
        except KnarrError as error:
            if "Expired" in error.message or "Gone" in error.message:
                raise WatchExpired from error
            raise

    # --- Writing -----------------------------------------------------------------

    async def apply(self, manifest: Object, *, force: bool, dry_run: bool = False, who: As = AGENT) -> Applied:
        """See the port."""
        ref = ref_of(manifest)
        query = f"fieldManager={FIELD_MANAGER}&fieldValidation=Strict"
        query += "&force=true" if force else ""
        query += "&dryRun=All" if dry_run else ""
        path = await self._path(ref)
        status, found = await self.session.ask(
            "PATCH", f"{path}?{query}", body=manifest, content_type=APPLY, who=who, identity=ref.id
        )
        if ref.of_kind == _DEFINITION and not dry_run:
            self._discovery.expect(str((manifest.get("spec") or {}).get("group", "")))
        return Applied(found=found, created=status == 201)

    async def delete(self, ref: Ref, *, uid: str, who: As = AGENT) -> Object | None:
        """See the port."""
        options = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
        path = await self._path(ref, any_version=True)
        try:
            _, left = await self.session.ask("DELETE", path, body=options, who=who, identity=ref.id)
        except KnarrError as error:
            if error.code in ("KNR4010", "KNR4016"):
                return None
            if error.code == "KNR4026":  # another object of that name: the one that was meant is gone
                return None
            raise
        return left if _remains(left) else None

    async def replace_managers(
        self, ref: Ref, found: Object, managers: list[dict[str, Any]], *, who: As = AGENT
    ) -> None:
        """See the port."""
        patch = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/metadata/managedFields", "value": managers},
        ]
        path = await self._path(ref)
        try:
            await self.session.ask("PATCH", path, body=patch, content_type=JSON_PATCH, who=who, identity=ref.id)
        except KnarrError as error:
            if error.code == "KNR4013":  # the server's answer when a JSON patch's test fails
                raise retryable("KNR4026", "the object changed meanwhile", object_id=ref.id) from error
            raise

    async def without(self, ref: Ref, pointers: Sequence[str], *, who: As = AGENT) -> Object:
        """See the port."""
        patch = [{"op": "remove", "path": pointer} for pointer in pointers]
        path = f"{await self._path(ref)}?dryRun=All"
        _, left = await self.session.ask("PATCH", path, body=patch, content_type=JSON_PATCH, who=who, identity=ref.id)
        result: Object = left
        return result

    async def create_namespace(self, name: str) -> None:
        """See the port."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        try:
            await self.session.ask("POST", f"{_NAMESPACES}?fieldManager={NAMESPACE_MANAGER}", body=namespace)
        except KnarrError as error:
            if error.code != "KNR4026":  # it exists already
                raise

    async def _path(self, ref: Ref, *, any_version: bool = False) -> str:
        """What is only looked at or deleted may have been applied at a version that is not served any more."""
        kind, version = ref.of_kind, "" if any_version else ref.api_version.rpartition("/")[2]
        return await self._discovery.path(kind, version, ref.namespace, quote(ref.name, safe=""))


def _label(what: Selection) -> dict[str, str]:
    return {"labelSelector": what.label} if what.label else {}


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in stream.iter_any():
        whole, newline, after = piece.rpartition(b"\n")
        if not newline:
            rest += piece
            continue
        for line in (rest + whole).split(b"\n"):
            yield line
        rest = after


def _event(line: bytes) -> Event | None:
    if not line:
        return None
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise retryable("KNR4012", "the watch sent a line that is not JSON") from error
    found = said["object"]
    match said["type"]:
        case "ADDED" | "MODIFIED":
            return Event(type=EventType.CHANGED, found=found)
        case "DELETED":
            return Event(type=EventType.DELETED, found=found)
        case "BOOKMARK":
            return Event(type=EventType.BOOKMARK, found=found)
    if found.get("code") == 410:
        raise WatchExpired
    raise refusal(int(found.get("code") or 500), found, ObjectId(""))


def _remains(left: Object) -> bool:
    if left.get("kind") == "Status":
        return False
    metadata = left.get("metadata") or {}
    if "deletionTimestamp" not in metadata:
        return False
    waits = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
    return bool(waits) or left.get("kind") == "Namespace"
