"""The `Cluster` port on simulated objects."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import orjson

from knarr.agent.adapters.simulated.controllers import Controllers, Faults
from knarr.agent.adapters.simulated.kinds import defined, is_namespaced
from knarr.agent.adapters.simulated.objects import Change, Conflict, Key, Object, Objects, key_of
from knarr.agent.core.capabilities import capabilities_of
from knarr.agent.core.objects import Kind, Ref, ref_of
from knarr.agent.core.ownership import NAMESPACE_MANAGER
from knarr.agent.ports import (
    AGENT,
    Applied,
    As,
    ClusterIdentity,
    Event,
    EventType,
    Page,
    Selection,
    WatchExpired,
)
from knarr.bundle.canonical import group_of
from knarr.pipeline.errors import rejected, retryable
from knarr.pipeline.names import ObjectId

_NAMESPACE = Kind("", "Namespace")
_WATCH_SECONDS = 300.0
_BACKLOG = 10_000


class SimulatedCluster:
    """Use as `async with SimulatedCluster(folder) as cluster`; without a folder nothing survives it."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        version: str = "v1.36.0-simulated",
        ready_after_seconds: float = 0.05,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._version = version
        self.objects = Objects(journal=folder / "objects.journal" if folder else None, clock=clock)
        self.controllers = Controllers(self.objects, delay_seconds=ready_after_seconds)
        self.requests = 0

    async def __aenter__(self) -> SimulatedCluster:
        self.objects.open()
        for name in ("kube-system", "default"):
            if self.objects.get(("", "Namespace", "", name)) is None:
                self._make_namespace(name)
        self.controllers.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.controllers.stop()
        self.objects.close()

    # --- Reading -----------------------------------------------------------------

    async def identity(self) -> ClusterIdentity:
        """See the port."""
        found = self.objects.get(("", "Namespace", "", "kube-system"))
        if found is None:
            raise retryable("KNR4012", "kube-system is not there")
        return ClusterIdentity(uid=found["metadata"]["uid"], version=self._version)

    async def capabilities(self) -> tuple[str, ...] | None:
        """See the port."""
        return capabilities_of(defined(self.objects))

    async def serves(self, kind: Kind) -> bool:
        """See the port."""
        return is_namespaced(self.objects, kind) is not None

    async def get(self, ref: Ref, *, metadata_only: bool = False, who: As = AGENT) -> Object | None:
        """See the port."""
        self._ask(ref.of_kind, ref.id)
        found = self.objects.get(_key(ref))
        return _trimmed(found) if metadata_only and found is not None else found

    async def pages(self, what: Selection, *, who: As = AGENT) -> AsyncIterator[Page]:
        """See the port."""
        self._ask(what.kind, ObjectId(""))
        found = self.objects.select(what.kind, what.namespace, what.label)
        items = tuple(_trimmed(o) if what.metadata_only else o for o in found)
        yield Page(items=items, version=str(self.objects.version))

    async def watch(self, what: Selection, version: str) -> AsyncIterator[Event]:
        """See the port."""
        self._ask(what.kind, ObjectId(""))
        since = int(version)
        if since < self.objects.oldest:
            raise WatchExpired
        queue: asyncio.Queue[Change] = asyncio.Queue(_BACKLOG)
        for change in list(self.objects.history):
            if change.version > since and _selected(what, change.key):
                queue.put_nowait(change)

        def notice(change: Change) -> None:
            if _selected(what, change.key):
                queue.put_nowait(change)

        self.objects.listeners.append(notice)
        try:
            async for event in _events(queue, what):
                yield event
        finally:
            self.objects.listeners.remove(notice)

    # --- Writing -----------------------------------------------------------------

    async def apply(self, manifest: Object, *, force: bool, dry_run: bool = False, who: As = AGENT) -> Applied:
        """See the port."""
        ref = ref_of(manifest)
        self._ask(ref.of_kind, ref.id)
        self._check_place(ref)
        try:
            found, created = self.objects.apply(key_of(manifest), manifest, force=force, dry_run=dry_run)
        except Conflict as conflict:
            owners = sorted({owner for owner, _ in conflict.owners})
            paths = ", ".join(path for _, path in conflict.owners[:5])
            raise rejected("KNR4023", f"{', '.join(owners)} owns {paths}", object_id=ref.id) from conflict
        return Applied(found=found, created=created)

    async def delete(self, ref: Ref, *, uid: str, who: As = AGENT) -> Object | None:
        """See the port."""
        self._ask(ref.of_kind, ref.id)
        key = _key(ref)
        found = self.objects.get(key)
        if found is None or found["metadata"]["uid"] != uid:
            return None
        return self.remove(key)

    def remove(self, key: Key) -> Object | None:
        """Deletes whatever lies there, as anybody might; what remains of it."""
        found = self.objects.get(key)
        if found is None:
            return None
        if found["metadata"].get("finalizers"):
            if "deletionTimestamp" not in found["metadata"]:
                leaving = {"deletionTimestamp": found["metadata"]["creationTimestamp"]}
                found = self.objects.store(key, {**found, "metadata": {**found["metadata"], **leaving}}, found)
            return found
        self.objects.drop(key)
        if (key[0], key[1]) == ("", "Namespace"):
            for inside in [k for k in self.objects.found if k[2] == key[3]]:
                self.objects.drop(inside)
        return None

    def edit(self, key: Key, change: dict[str, Any], manager: str) -> Object | None:
        """A merge patch by somebody else; an object without finalizers that was being deleted goes."""
        after = self.objects.update(key, change, manager=manager)
        if after and "deletionTimestamp" in after["metadata"] and not after["metadata"].get("finalizers"):
            self.objects.drop(key)
            return None
        return after

    async def replace_managers(
        self, ref: Ref, found: Object, managers: list[dict[str, Any]], *, who: As = AGENT
    ) -> None:
        """See the port."""
        live = self.objects.get(_key(ref))
        if live is None or live["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise retryable("KNR4026", "the object changed meanwhile", object_id=ref.id)
        after = {**live, "metadata": {**live["metadata"], "managedFields": managers}}
        self.objects.store(_key(ref), after, live)

    async def without(self, ref: Ref, pointers: Sequence[str], *, who: As = AGENT) -> Object:
        """See the port."""
        found = await self.get(ref, who=who)
        if found is None:
            raise rejected("KNR4010", f"{ref.words} does not exist", object_id=ref.id)
        left: Object = orjson.loads(orjson.dumps(found))
        for pointer in pointers:
            _remove(left, [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]])
        return left

    async def create_namespace(self, name: str) -> None:
        """See the port."""
        self.requests += 1
        if self.objects.get(("", "Namespace", "", name)) is None:
            self._make_namespace(name, manager=NAMESPACE_MANAGER)

    # -----------------------------------------------------------------------------

    def change_faults(self, faults: Faults) -> None:
        """What goes wrong from now on."""
        self.controllers.change_faults(faults)

    def _make_namespace(self, name: str, *, manager: str = "kube-apiserver") -> None:
        fields: Object = {"f:metadata": {"f:labels": {"f:kubernetes.io/metadata.name": {}}}}
        metadata = {
            "name": name,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"kubernetes.io/metadata.name": name},
            "managedFields": [{"manager": manager, "operation": "Update", "apiVersion": "v1", "fieldsV1": fields}],
        }
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata, "status": {"phase": "Active"}}
        self.objects.store(("", "Namespace", "", name), namespace, None)

    def _ask(self, kind: Kind, identity: ObjectId) -> None:
        self.requests += 1
        if is_namespaced(self.objects, kind) is None:
            raise rejected("KNR4010", f"{kind.kind} of group {kind.group or 'core'} is not served", object_id=identity)

    def _check_place(self, ref: Ref) -> None:
        namespaced = is_namespaced(self.objects, ref.of_kind)
        if namespaced and not ref.namespace:
            raise rejected("KNR4013", "the object names no namespace", object_id=ref.id)
        if namespaced and self.objects.get(("", "Namespace", "", ref.namespace)) is None:
            raise rejected("KNR4016", f"namespace {ref.namespace} does not exist", object_id=ref.id)


async def _events(queue: asyncio.Queue[Change], what: Selection) -> AsyncIterator[Event]:
    while True:
        try:
            async with asyncio.timeout(_WATCH_SECONDS):
                change = await queue.get()
        except TimeoutError:
            return
        if (event := _event(change, what)) is not None:
            yield event


def _event(change: Change, what: Selection) -> Event | None:
    found: Object = orjson.loads(change.data)
    selected = not what.label or what.label in (found["metadata"].get("labels") or {})
    shown = _trimmed(found) if what.metadata_only else found
    if selected:
        return Event(type=EventType.DELETED if change.deleted else EventType.CHANGED, found=shown)
    # The label was taken off: to a watch with a selector that is a deletion, as on the real server.
    left = what.label in change.labels_before and not change.deleted
    return Event(type=EventType.DELETED, found=shown) if left else None


def _selected(what: Selection, key: Key) -> bool:
    return key[0] == what.kind.group and key[1] == what.kind.kind and what.namespace in ("", key[2])


def _remove(inside: Any, parts: list[str]) -> None:
    *above, last = parts
    for part in above:
        inside = inside[int(part)] if isinstance(inside, list) else inside[part]
    del inside[int(last) if isinstance(inside, list) else last]


def _key(ref: Ref) -> Key:
    return (group_of(ref.api_version), ref.kind, ref.namespace, ref.name)


def _trimmed(found: Object) -> Object:
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": found["metadata"]}
