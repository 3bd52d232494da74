"""The simulated cluster's objects: versions, field managers, watchers, a journal on disk. No controllers, no ports.

Objects are kept as compact JSON bytes. Everything here is synchronous and happens at once.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson

from knarr.agent.adapters.simulated.fields import leaves, merged, removed, top_fields, value_at, without
from knarr.agent.core.objects import Kind
from knarr.bundle.canonical import group_of
from knarr.pipeline.names import FIELD_MANAGER

Key = tuple[str, str, str, str]  # group, kind, namespace, name
Object = dict[str, Any]
HISTORY = 64


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history that watches read; `labels_before` decides whether a selector loses the object."""

    version: int
    key: Key
    deleted: bool
    data: bytes
    labels_before: tuple[str, ...] = ()


class Conflict(Exception):
    """Another manager owns fields with other values: (manager, path) pairs."""

    def __init__(self, owners: list[tuple[str, str]]) -> None:
        super().__init__("conflict")
        self.owners = owners


@dataclass(slots=True)
class Objects:
    """One cluster's objects. `listeners` are called after each change."""

    journal: Path | None
    clock: Callable[[], float]
    version: int = 0
    found: dict[Key, bytes] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=lambda: deque(maxlen=HISTORY))
    listeners: list[Callable[[Change], None]] = field(default_factory=list)
    oldest: int = 0
    _file: IO[bytes] | None = None
    _lines: int = 0

    def open(self) -> None:
        """Reads the journal and compacts it."""
        if self.journal is None:
            return
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        if self.journal.exists():
            self.replay(self.journal.read_bytes())
        self.oldest = self.version
        self._compact()

    def close(self) -> None:
        """Nothing is written after this."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def get(self, key: Key) -> Object | None:
        """A copy of the object."""
        data = self.found.get(key)
        return orjson.loads(data) if data is not None else None

    def select(self, kind: Kind, namespace: str, label: str) -> Iterator[Object]:
        """Objects of a kind, in one namespace or all, with or without a label."""
        for (group, name, space, _), data in self.found.items():
            if group != kind.group or name != kind.kind or (namespace and space != namespace):
                continue
            parsed: Object = orjson.loads(data)
            if not label or label in (parsed["metadata"].get("labels") or {}):
                yield parsed

    def apply(self, key: Key, manifest: Mapping[str, Any], *, force: bool, dry_run: bool) -> tuple[Object, bool]:
        """Server-side apply as `knarr`; (object, created)."""
        live = self.get(key)
        fresh = live is None
        before = live or _newborn(manifest, self.clock())
        managers = [dict(m) for m in before["metadata"].get("managedFields") or ()]
        ours = next((m for m in managers if m["manager"] == FIELD_MANAGER and m["operation"] == "Apply"), None)
        wanted = leaves(fields := top_fields(manifest))
        clashes = _clashes(managers, wanted, before, manifest)
        if clashes and not force:
            raise Conflict([(m, ".".join(s[2:] for s in p)) for m, p in clashes])
        dropped = leaves(ours["fieldsV1"]) - wanted if ours else set()
        kept = wanted | {p for m in managers if m is not ours for p in leaves(m["fieldsV1"])}
        dropped = {p for p in dropped if not any(k[: len(p)] == p for k in kept)}
        after = removed(merged(before, _plain(manifest)), dropped)
        for manager in managers:
            if manager is not ours:
                manager["fieldsV1"] = without(manager["fieldsV1"], {p for m, p in clashes if m == manager["manager"]})
        managers = [m for m in managers if m is not ours and m["fieldsV1"]]
        time = self._time() if ours is None or ours["fieldsV1"] != fields or _differs(before, after) else ours["time"]
        version = manifest["apiVersion"]
        managers.append(_manager(FIELD_MANAGER, "Apply", version, time, fields))
        after["metadata"] = {**after["metadata"], "managedFields": managers}
        if not fresh and not _differs(before, after) and before["metadata"]["managedFields"] == managers:
            return before, False
        if dry_run:
            return after, fresh
        return self.store(key, after, before if not fresh else None), fresh

    def update(self, key: Key, change: Mapping[str, Any], *, manager: str, status: bool = False) -> Object | None:
        """A merge patch by another manager, as a hand or a controller makes it. None when there is no object."""
        live = self.get(key)
        if live is None:
            return None
        after = _merge_patch(live, change)
        if status:
            after = {**live, "status": after.get("status", {})}
            return live if after == live else self.store(key, after, live)
        touched = {p for p in leaves(top_fields(after)) | leaves(top_fields(live)) if _unlike(live, after, p)}
        managers = []
        for known in live["metadata"].get("managedFields") or ():
            fields = without(known["fieldsV1"], touched)
            if any(k != "." for k in fields):
                managers.append({**known, "fieldsV1": fields})
        changed = without(top_fields(after), leaves(top_fields(after)) - touched)
        if changed:
            managers.append(_manager(manager, "Update", live["apiVersion"], self._time(), changed))
        after["metadata"] = {**after["metadata"], "managedFields": managers}
        return self.store(key, after, live)

    def store(self, key: Key, after: Object, before: Object | None) -> Object:
        """Writes an object with its next version, and its next generation when its spec changed."""
        self.version += 1
        metadata = {**after["metadata"], "resourceVersion": str(self.version)}
        if before is None:
            metadata |= {"generation": 1}
        elif any(before.get(k) != after.get(k) for k in {*before, *after} - {"metadata", "status"}):
            metadata["generation"] = before["metadata"].get("generation", 1) + 1
        stored = {**after, "metadata": metadata}
        labels = tuple((before or {}).get("metadata", {}).get("labels") or ())
        self._write(Change(self.version, key, deleted=False, data=orjson.dumps(stored), labels_before=labels))
        return stored

    def drop(self, key: Key) -> None:
        """The object is gone."""
        data = self.found.get(key)
        if data is None:
            return
        self.version += 1
        last = orjson.loads(data)
        last["metadata"]["resourceVersion"] = str(self.version)
        self._write(Change(self.version, key, deleted=True, data=orjson.dumps(last)))

    def _write(self, change: Change) -> None:
        if change.deleted:
            self.found.pop(change.key, None)
        else:
            self.found[change.key] = change.data
        if len(self.history) == HISTORY:
            self.oldest = self.history[0].version
        self.history.append(change)
        self._journal(change)
        for listener in list(self.listeners):
            listener(change)

    def _journal(self, change: Change) -> None:
        if self._file is None:
            return
        self._file.write(orjson.dumps([change.version, change.key, change.deleted]) + b"\t" + change.data + b"\n")
        self._file.flush()
        self._lines += 1
        if self._lines > 500 + 4 * len(self.found):
            self._compact()

    def replay(self, data: bytes) -> None:
        """Takes in a journal's bytes; also what another process is writing just now."""
        for line in data.split(b"\n"):
            head, _, body = line.partition(b"\t")
            try:
                version, key, deleted = orjson.loads(head)
                orjson.loads(body)
            except (orjson.JSONDecodeError, ValueError):
                continue  # the last line of a process that was killed
            self.version = max(self.version, version)
            place: Key = (key[0], key[1], key[2], key[3])
            if deleted:
                self.found.pop(place, None)
            else:
                self.found[place] = body

    def _compact(self) -> None:
        if self.journal is None:
            return
        self.close()
        fresh = self.journal.with_suffix(".new")
        with fresh.open("wb") as out:
            for key, data in self.found.items():
                out.write(orjson.dumps([self.version, key, False]) + b"\t" + data + b"\n")
        fresh.replace(self.journal)
        self._file = self.journal.open("ab")
        self._lines = len(self.found)

    def _time(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def key_of(manifest: Mapping[str, Any]) -> Key:
    """Where an object lies."""
    metadata = manifest["metadata"]
    return (group_of(manifest["apiVersion"]), manifest["kind"], metadata.get("namespace") or "", metadata["name"])


def _newborn(manifest: Mapping[str, Any], now: float) -> Object:
    metadata = {
        "name": manifest["metadata"]["name"],
        "uid": str(uuid.uuid4()),
        "creationTimestamp": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "managedFields": [],
    }
    if namespace := manifest["metadata"].get("namespace"):
        metadata["namespace"] = namespace
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], "metadata": metadata}


def _plain(manifest: Mapping[str, Any]) -> Object:
    return {k: v for k, v in manifest.items() if k != "status"}


def _clashes(
    managers: list[Object], wanted: set[tuple[str, ...]], live: Object, manifest: Mapping[str, Any]
) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (m["manager"], path)
        for m in managers
        if not (m["manager"] == FIELD_MANAGER and m["operation"] == "Apply")
        for path in sorted(leaves(m["fieldsV1"]) & wanted)
        if value_at(live, path) != value_at(manifest, path)
    ]


def _manager(name: str, operation: str, version: str, time: str, fields: Object) -> Object:
    return {
        "manager": name,
        "operation": operation,
        "apiVersion": version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }


def _differs(before: Object, after: Object) -> bool:
    left = {**before, "metadata": {**before["metadata"], "managedFields": None}}
    return left != {**after, "metadata": {**after["metadata"], "managedFields": None}}


def _unlike(left: Object, right: Object, path: tuple[str, ...]) -> bool:
    return bool(value_at(left, path) != value_at(right, path))


def _merge_patch(live: Any, change: Any) -> Any:
    if not isinstance(change, Mapping):
        return change
    out = dict(live) if isinstance(live, Mapping) else {}
    for key, value in change.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = _merge_patch(out.get(key), value)
    return out


Queue = asyncio.Queue[Change]
