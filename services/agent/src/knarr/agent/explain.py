"""Reading the pods of workloads that do not become ready, so that the report says why.

Called by reconcile only while something is unhealthy. Pods are not watched (a cluster has far more of them than of
what apps own): they are listed once per namespace, ever more rarely the longer the trouble lasts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from knarr.agent.core.causes import POD, REPLICA_SET, causes, has_pods, has_replica_sets, owner_of
from knarr.agent.core.health.pods import trouble
from knarr.agent.core.objects import Kind
from knarr.agent.ports import As, Reading, Selection
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.names import ObjectId, split_object_id

LOG = structlog.get_logger("knarr.agent.explain")
_FIRST_LOOK_SECONDS = 1.0
_RAREST_LOOK_SECONDS = 60.0
_PODS_READ = 2_000


@dataclass(slots=True, kw_only=True)
class _Read:
    """What one namespace's pods in trouble say, and when they were read."""

    at: float
    pods: list[Mapping[str, Any]] = field(default_factory=list)
    replica_sets: dict[str, str] = field(default_factory=dict)


class Explainer:
    """One per agent."""

    def __init__(self, cluster: Reading, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock
        self._read: dict[tuple[str, As, bool], _Read] = {}
        self._reading: dict[tuple[str, As, bool], asyncio.Lock] = {}

    async def reasons(self, unready: Mapping[str, ObjectId], since: float, who: As) -> dict[ObjectId, str]:
        """Why the workloads (by UID) that are unready since a time are; nothing yet within the first second."""
        age = self._clock() - since
        if age < _FIRST_LOOK_SECONDS:
            return {}
        found: dict[ObjectId, str] = {}
        places: dict[tuple[str, As, bool], dict[str, ObjectId]] = {}
        for uid, identity in unready.items():
            group, kind, namespace, _ = split_object_id(identity)
            through = has_replica_sets(Kind(group, kind))
            places.setdefault((namespace, who, through), {})[uid] = identity
        for place, workloads in places.items():
            read = await self._place(place, no_older_than=look_again_seconds(age) / 2)
            found |= causes(workloads, read.pods, read.replica_sets)
        return found

    def forget(self) -> None:
        """Nothing is unready any more, or nothing has happened for a while."""
        self._read.clear()

    async def _place(self, place: tuple[str, As, bool], *, no_older_than: float) -> _Read:
        # Apps of one namespace look at the same moment: whoever comes second waits for what the first one reads.
        async with self._reading.setdefault(place, asyncio.Lock()):
            known = self._read.get(place)
            if known is None or self._clock() - known.at >= no_older_than:
                known = self._read[place] = await self._listing(place)
            return known

    async def _listing(self, place: tuple[str, As, bool]) -> _Read:
        namespace, who, through = place
        fresh = _Read(at=self._clock())
        try:
            fresh.pods = [_trimmed(p) async for p in self._listed(POD, namespace, who) if trouble(p)]
            if through:
                sets = self._listed(REPLICA_SET, namespace, who, metadata_only=True)
                fresh.replica_sets = {s["metadata"]["uid"]: owner_of(s) async for s in sets}
        except KnarrError as error:
            LOG.info("pods not read", namespace=namespace, code=error.code, error=error.message)
        return fresh

    async def _listed(
        self, kind: Kind, namespace: str, who: As, *, metadata_only: bool = False
    ) -> AsyncIterator[Mapping[str, Any]]:
        count = 0
        async for page in self._cluster.pages(
            Selection(kind=kind, namespace=namespace, metadata_only=metadata_only), who=who
        ):
            for item in page.items:
                yield item
            count += len(page.items)
            if count >= _PODS_READ:
                return


def look_again_seconds(age: float) -> float:
    """How long to wait before the next look at something that is unready for `age` seconds."""
    return min(_RAREST_LOOK_SECONDS, max(_FIRST_LOOK_SECONDS, age / 2))


def makes_pods(identity: ObjectId) -> bool:
    """Whether pods can say why this object is not ready."""
    group, kind, _, _ = split_object_id(identity)
    return has_pods(Kind(group, kind))


def _trimmed(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = pod.get("metadata") or {}
    kept = {k: metadata[k] for k in ("name", "creationTimestamp", "ownerReferences") if k in metadata}
    return {"metadata": kept, "status": pod.get("status") or {}}
