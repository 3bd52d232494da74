"""One look at one source: what the ref names now, and if that is new, its snapshot.

Called by follow, as often as it likes: nothing happens when nothing changed. The order matters for crashes: the number
is remembered before it is told, contents lie in the stream before a message names them, and the message is published
only over the one that was read, so that two fetchers never go backwards.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from opentelemetry import trace
from opentelemetry.context import Context

from knarr.fetcher.charts import Change, Pinned, is_failing, lock_of, pin
from knarr.fetcher.core.globs import covers
from knarr.fetcher.core.numbering import next_number
from knarr.fetcher.core.source import Source
from knarr.fetcher.core.tree import TreeDelta
from knarr.fetcher.ports import Published, Remembered, Repository, Sighting
from knarr.fetcher.snapshot import Parts, delta_since, is_whole, store
from knarr.fetcher.verify import signed_by
from knarr.pipeline.chart_lock import ChartLock
from knarr.pipeline.errors import retryable
from knarr.pipeline.snapshot import Commit, CommitObserved, SnapshotStored

TRACER = trace.get_tracer("knarr.fetcher")
_RACES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a look found. `published`: a message was sent. `asked_remote_ns`: when the look began, Unix nanoseconds."""

    snapshot: SnapshotStored
    published: bool
    fetched: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What is known once the remote has answered."""

    source: Source
    sighting: Sighting
    signer: str
    stream: str
    kept: Remembered
    published: Published
    base: SnapshotStored | None  # the published snapshot, if all of it is still stored
    began_ns: int
    answered_ns: int


async def fetch(source: Source, repository: Repository, parts: Parts, *, audit: bool = False) -> Fetched:
    """Looks once. `audit`: also checks that everything published is still stored. Raises numbered errors."""
    for _ in range(_RACES):
        look = await _look(source, repository, parts, audit)
        current = look.base is not None and await _is_current(look, look.base, repository)
        moved = await _charts_moved(look.base, repository, parts) if look.base is not None and current else None
        if look.base is not None and current and moved is None:
            if look.kept.stored != look.base or look.kept.stream != look.stream:
                await parts.memory.remember(source.name, _remembered(look, look.base))
            return Fetched(snapshot=look.base, published=False, fetched=look.sighting.fetched)
        snapshot = await _publish(look, repository, parts, moved)
        if snapshot is not None:
            return Fetched(snapshot=snapshot, published=True, fetched=look.sighting.fetched)
    raise retryable("KNR7011", f"another fetcher keeps publishing commits of {source.name}")


async def _look(source: Source, repository: Repository, parts: Parts, audit: bool) -> _Look:
    began_ns = time.time_ns()
    sighting = await repository.look(source.ref)
    answered_ns = time.time_ns()
    signer = signed_by(sighting, source.signers, parts.openpgp)
    kept = await parts.memory.recall(source.name)
    published = await parts.log.newest(source.name)
    stream = await parts.vault.identity()
    base = published.snapshot
    trusted = base is not None and kept.stored == base and kept.stream == stream and not audit
    if not trusted and not await is_whole(base, stream=stream, parts=parts):
        base = None
    return _Look(
        source=source,
        sighting=sighting,
        signer=signer,
        stream=stream,
        kept=kept,
        published=published,
        base=base,
        began_ns=began_ns,
        answered_ns=answered_ns,
    )


async def _is_current(look: _Look, base: SnapshotStored, repository: Repository) -> bool:
    """Whether the stored snapshot is what the ref names, or differs only where the source does not look."""
    newest = _newest(look)
    if newest is not None and newest != base and _number(newest) > _number(base):
        return False
    if _is_same(base, look):
        return True
    if not look.source.paths or base.commit is None or base.commit.url != look.source.url:
        return False
    delta = await repository.changes(base.tree_id, look.sighting.tree_id)
    touched = (*(file.path for file in delta.changed), *delta.removed)
    texts = [path.decode("utf-8", "surrogateescape") for path in touched]
    return not delta.complete and not any(covers(pattern, path) for pattern in look.source.paths for path in texts)


async def _publish(look: _Look, repository: Repository, parts: Parts, moved: Pinned | None) -> SnapshotStored | None:
    """None when another fetcher was faster. `moved`: the charts, where nothing else has changed."""
    source, sighting = look.source, look.sighting
    with TRACER.start_as_current_span(
        "fetch",
        context=Context(),  # one trace per commit, whatever woke us
        start_time=look.began_ns,
        attributes={
            "knarr.source": source.name,
            "vcs.repository.url.full": source.url,
            "vcs.ref.head.name": sighting.ref,
            "vcs.ref.head.revision": sighting.sha,
        },
    ) as span:
        TRACER.start_span("git fetch", start_time=look.began_ns).end(look.answered_ns)
        with TRACER.start_as_current_span("snapshot") as stored_span:
            commit = await _numbered(look, parts)
            span.set_attribute("knarr.commit.number", commit.number)
            delta, pinned = await _content(look, repository, parts, moved)
            snapshot = await store(
                commit,
                sighting.tree_id,
                look.base,
                delta,
                pinned,
                stream=look.stream,
                repository=repository,
                parts=parts,
            )
            stored_span.set_attribute("knarr.snapshot.bytes", snapshot.published_bytes)
            stored_span.set_attribute("knarr.snapshot.files", snapshot.published_files)
        if not await parts.log.stored(snapshot, look.published.sequence):
            return None
        await parts.memory.remember(source.name, _remembered(look, snapshot))
        return snapshot


async def _content(look: _Look, repository: Repository, parts: Parts, moved: Pinned | None) -> tuple[TreeDelta, Pinned]:
    """What the commit brings, and its charts. Another set of charts begins a new chain of manifests."""
    before = lock_of(look.base if look.base is not None else _newest(look))
    base = look.base if before is not None else None  # of a lock that cannot be read nothing is kept
    delta = await delta_since(base, look.sighting.tree_id, repository)
    pinned = moved
    with TRACER.start_as_current_span("charts"):
        if pinned is None or (delta.complete and not pinned.whole):
            change = Change(tree_id=look.sighting.tree_id, delta=delta)
            pinned = await pin(change, before or ChartLock(), repository, parts.charts, whole=delta.complete)
    if pinned.whole and not delta.complete:
        delta = await delta_since(None, look.sighting.tree_id, repository)
    return delta, pinned


async def _charts_moved(base: SnapshotStored, repository: Repository, parts: Parts) -> Pinned | None:
    """The charts, if one that could not be resolved now is, or fails in another way; None when nothing is new."""
    before = lock_of(base)
    if before is None or not is_failing(before):
        return None
    pinned = await pin(Change(tree_id=base.tree_id), before, repository, parts.charts, whole=False)
    return pinned if pinned.lock_bytes != base.lock else None


async def _numbered(look: _Look, parts: Parts) -> Commit:
    """The commit with its number: the old one when it is only stored again, else a new one, which is told at once."""
    newest = _newest(look)
    if newest is not None and newest.commit is not None and _is_same(newest, look):
        return newest.commit
    last = max(look.kept.last_number, _number(look.published.snapshot), _number(look.kept.stored))
    now_ms = int(parts.now() * 1000)
    number = next_number(last, now_ms)
    await parts.memory.remember(look.source.name, replace(look.kept, last_number=number))
    sighting = look.sighting
    commit = Commit(
        source=look.source.name,
        number=number,
        sha=sighting.sha,
        ref=sighting.ref,
        author=sighting.author,
        subject=sighting.subject,
        committed_at_ms=sighting.committed_at_ms,
        observed_at_ms=now_ms,
        url=look.source.url,
        signed_by=look.signer,
    )
    await parts.log.observed(CommitObserved(commit=commit))
    return commit


def _newest(look: _Look) -> SnapshotStored | None:
    """Of the published and the remembered snapshot the one with the higher number (a stream may come from a backup)."""
    candidates = [s for s in (look.kept.stored, look.published.snapshot) if s is not None]
    return max(candidates, key=_number, default=None)


def _is_same(snapshot: SnapshotStored, look: _Look) -> bool:
    commit, sighting = snapshot.commit, look.sighting
    return commit is not None and (commit.sha, commit.ref, commit.url, snapshot.tree_id) == (
        sighting.sha,
        sighting.ref,
        look.source.url,
        sighting.tree_id,
    )


def _number(snapshot: SnapshotStored | None) -> int:
    return snapshot.commit.number if snapshot is not None and snapshot.commit is not None else 0


def _remembered(look: _Look, stored: SnapshotStored) -> Remembered:
    last = max(look.kept.last_number, _number(stored))
    return Remembered(last_number=last, stored=stored, stream=look.stream)
