"""Which kinds the API server serves, and where: aggregated discovery, two requests, kept as a small table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from knarr.agent.adapters.kubernetes.session import Session
from knarr.agent.core.capabilities import capabilities_of
from knarr.agent.core.objects import Kind
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import ObjectId

_ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)
_AGAIN_SECONDS = 1.0
_APPEARS_SECONDS = 10.0  # an established definition shows up in discovery a moment later, under load a second or two
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Resource:
    """How a kind is addressed. `versions` with the preferred one first."""

    plural: str
    namespaced: bool
    versions: tuple[str, ...]


class Discovery:
    """One per cluster. Reads again, at most once a second, when it is asked for a kind that it does not know."""

    def __init__(self, session: Session, clock: Callable[[], float]) -> None:
        self._session = session
        self._clock = clock
        self._known: dict[Kind, Resource] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()
        self._expected: dict[str, float] = {}

    async def find(self, kind: Kind, version: str = "") -> Resource | None:
        """How the kind is served; None when it is not. Waits for what a definition applied just now will bring."""
        while not self._serves(kind, version):
            async with self._reading:
                is_expected = self._clock() < self._expected.get(kind.group, 0.0)
                if not self._serves(kind, version) and (is_expected or self._clock() - self._read_at >= _AGAIN_SECONDS):
                    await self._read()
            if self._serves(kind, version) or not is_expected:
                break
            await asyncio.sleep(_POLL_SECONDS)
        return self._known.get(kind)

    def _serves(self, kind: Kind, version: str) -> bool:
        known = self._known.get(kind)
        return known is not None and (not version or version in known.versions)

    async def path(self, kind: Kind, version: str, namespace: str, name: str = "") -> str:
        """The URL path of a collection or object. KNR4010 when kind or version is not served."""
        resource = await self.find(kind, version)
        if resource is None or (version and version not in resource.versions):
            what = f"{kind.kind} in {kind.group or 'core'}{'/' + version if version else ''}"
            raise rejected("KNR4010", f"{what} is not served", object_id=ObjectId(""))
        version = version or resource.versions[0]
        root = f"/apis/{kind.group}/{version}" if kind.group else f"/api/{version}"
        place = f"/namespaces/{namespace}" if namespace and resource.namespaced else ""
        return f"{root}{place}/{resource.plural}{'/' + name if name else ''}"

    async def capabilities(self) -> tuple[str, ...] | None:
        """See ports.Reading: read anew."""
        async with self._reading:
            complete = await self._read()
        if not complete:
            return None
        return capabilities_of((k.group, v, k.kind) for k, found in self._known.items() for v in found.versions)

    async def is_namespaced(self, kind: Kind) -> bool:
        """Whether its objects lie in namespaces."""
        resource = await self.find(kind)
        return resource is not None and resource.namespaced

    def expect(self, group: str) -> None:
        """A definition of this group was applied: look again when next asked, and have some patience."""
        self._read_at = float("-inf")
        self._expected[group] = self._clock() + _APPEARS_SECONDS

    async def _read(self) -> bool:
        """Whether it is complete: an aggregated API that does not answer is left out."""
        answers = [(await self._session.ask("GET", path, accept=_ACCEPT))[1] for path in ("/api", "/apis")]
        known: dict[Kind, Resource] = {}
        complete = True
        for answer in answers:
            if answer.get("kind") == "APIGroupDiscoveryList":
                complete &= _collect(answer, known)
            else:
                await self._read_old(answer, known)
        self._known = known
        self._read_at = self._clock()
        return complete

    async def _read_old(self, answer: Mapping[str, Any], known: dict[Kind, Resource]) -> None:
        for group, version in _group_versions(answer):
            path = f"/apis/{group}/{version}" if group else f"/api/{version}"
            _, listed = await self._session.ask("GET", path)
            for entry in listed.get("resources") or ():
                if "/" not in entry["name"]:
                    _add(known, Kind(group, entry["kind"]), entry["name"], bool(entry["namespaced"]), version)


def _collect(answer: Mapping[str, Any], known: dict[Kind, Resource]) -> bool:
    complete = True
    for group in answer.get("items") or ():
        for version in group.get("versions") or ():
            if version.get("freshness") == "Stale":
                complete = False
            for entry in version.get("resources") or ():
                said = entry.get("responseKind") or {}
                kind = Kind(group["metadata"].get("name", ""), said.get("kind", ""))
                _add(known, kind, entry["resource"], entry.get("scope") == "Namespaced", version["version"])
    return complete


def _add(known: dict[Kind, Resource], kind: Kind, plural: str, namespaced: bool, version: str) -> None:
    before = known.get(kind)
    versions = (*before.versions, version) if before is not None else (version,)
    known[kind] = Resource(plural, namespaced, versions)


def _group_versions(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for version in answer.get("versions") or ():
        yield "", version
    for group in answer.get("groups") or ():
        for version in group.get("versions") or ():
            yield group["name"], version["version"]
