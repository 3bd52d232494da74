"""Watches on what the apps own: one per kind over the whole cluster, by our label, metadata only where that suffices.

Every event is trimmed on arrival; what remains is `Seen`. The flow is told of each change and decides what it means.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from knarr.agent.core.objects import Kind, Seen, version_number
from knarr.agent.judge import Judge
from knarr.agent.ports import EventType, Reading, Selection, WatchExpired
from knarr.pipeline.errors import KnarrError, retryable
from knarr.pipeline.names import OWNER_LABEL, ObjectId, object_id, split_object_id

LOG = structlog.get_logger("knarr.agent.observe")
# (object, what is seen of it now or None, the metadata it came with)
Notice = Callable[[ObjectId, Seen | None, Mapping[str, Any] | None], None]
_READY_SECONDS = 30.0
_LONGEST_PAUSE = 30.0


@dataclass(slots=True)
class _Watched:
    kind: Kind
    seen: dict[ObjectId, Seen] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: KnarrError | None = None
    task: asyncio.Task[None] | None = None


class Observer:
    """Owned by reconcile. Tasks run in the given group until it ends."""

    def __init__(self, cluster: Reading, tasks: asyncio.TaskGroup, notice: Notice, judge: Judge) -> None:
        self._cluster = cluster
        self._judge = judge
        self._tasks = tasks
        self._notice = notice
        self._kinds: dict[Kind, _Watched] = {}

    async def ensure(self, kinds: Iterable[Kind]) -> dict[Kind, KnarrError]:
        """Watches these kinds; returns once each is read or has failed, with what failed (and is tried again)."""
        wanted = [self._kinds.get(kind) or self._begin(kind) for kind in kinds]
        for watched in wanted:
            if not watched.ready.is_set():
                await _ready(watched)
        return {w.kind: w.trouble for w in wanted if w.trouble is not None}

    def again(self, kinds: Iterable[Kind]) -> None:
        """Reads these kinds anew, if they are watched: what their objects mean has changed. `ensure` waits for it."""
        for watched in [self._kinds[kind] for kind in kinds if kind in self._kinds]:
            if watched.task is not None:
                watched.task.cancel()
            watched.ready.clear()
            watched.task = self._tasks.create_task(self._follow(watched), name=f"watch-{watched.kind.kind}")

    def seen(self, identity: ObjectId) -> Seen | None:
        """What is known of an object that carries our label."""
        group, kind, _, _ = split_object_id(identity)
        watched = self._kinds.get(Kind(group, kind))
        return watched.seen.get(identity) if watched else None

    def put(self, identity: ObjectId, seen: Seen) -> None:
        """What the agent itself learned from an answer; older than what is known is ignored."""
        group, kind, _, _ = split_object_id(identity)
        watched = self._kinds.get(Kind(group, kind))
        if watched is not None:
            _keep_newer(watched, identity, seen)

    @property
    def object_count(self) -> int:
        """How many objects are under watch."""
        return sum(len(w.seen) for w in self._kinds.values())

    def _begin(self, kind: Kind) -> _Watched:
        watched = _Watched(kind)
        self._kinds[kind] = watched
        watched.task = self._tasks.create_task(self._follow(watched), name=f"watch-{kind.kind}")
        return watched

    async def _follow(self, watched: _Watched) -> None:
        what = Selection(kind=watched.kind, label=OWNER_LABEL, metadata_only=not self._judge.in_full(watched.kind))
        version, pause = "", 0.2
        while True:
            try:
                if not version:
                    version = await self._read_all(watched, what)
                async for event in self._cluster.watch(what, version):
                    version = self._take(watched, event.type, event.found) or version
                pause = 0.2
            except WatchExpired:
                version = ""
            except KnarrError as error:
                watched.trouble = error if not version else None
                watched.ready.set()
                LOG.warning("watch interrupted", kind=watched.kind.kind, error=str(error))
                await asyncio.sleep(random.uniform(0.5, 1.0) * pause)  # noqa: S311
                pause = min(_LONGEST_PAUSE, pause * 2)

    async def _read_all(self, watched: _Watched, what: Selection) -> str:
        present: set[ObjectId] = set()
        version = ""
        async for page in self._cluster.pages(what):
            version = page.version
            present.update([self._changed(watched, found) for found in page.items])
        taken_at = version_number(version)
        for identity in [i for i, s in watched.seen.items() if i not in present and s.version <= taken_at]:
            del watched.seen[identity]
            self._notice(identity, None, None)
        watched.trouble = None
        watched.ready.set()
        return version

    def _take(self, watched: _Watched, event: EventType, found: Mapping[str, Any]) -> str:
        if event is EventType.CHANGED:
            self._changed(watched, found)
        elif event is EventType.DELETED:
            self._gone(watched, found)
        return str((found.get("metadata") or {}).get("resourceVersion", ""))

    def _changed(self, watched: _Watched, found: Mapping[str, Any]) -> ObjectId:
        identity = _identity(watched.kind, found)
        seen = self._judge.seen(found, watched.kind)
        if _keep_newer(watched, identity, seen, anew=not watched.ready.is_set()):
            self._notice(identity, seen, found.get("metadata"))
        return identity

    def _gone(self, watched: _Watched, found: Mapping[str, Any]) -> None:
        identity = _identity(watched.kind, found)
        known = watched.seen.get(identity)
        version = version_number((found.get("metadata") or {}).get("resourceVersion", ""))
        if known is not None and known.version > version:
            return
        watched.seen.pop(identity, None)
        self._notice(identity, None, None)


async def _ready(watched: _Watched) -> None:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await watched.ready.wait()
    except TimeoutError as error:
        raise retryable("KNR4012", f"listing {watched.kind.kind} objects takes too long") from error


def _keep_newer(watched: _Watched, identity: ObjectId, seen: Seen, *, anew: bool = False) -> bool:
    """Whether it says more than what is known; `anew`, the same version too may be judged otherwise."""
    known = watched.seen.get(identity)
    if known is not None and known.uid == seen.uid and known.version >= seen.version + anew:
        return False
    watched.seen[identity] = seen if known is None else _sharing(seen, known)
    return True


def _sharing(seen: Seen, known: Seen) -> Seen:
    """The same value, in fewer strings: thousands of these are kept."""
    same_mark = known.mark if known.mark == seen.mark else seen.mark
    same_uid = known.uid if known.uid == seen.uid else seen.uid
    return replace(seen, uid=same_uid, mark=same_mark)


def _identity(kind: Kind, found: Mapping[str, Any]) -> ObjectId:
    metadata = found.get("metadata") or {}
    made = object_id(kind.group, kind.kind, str(metadata.get("namespace") or ""), str(metadata.get("name") or ""))
    return ObjectId(sys.intern(made))
