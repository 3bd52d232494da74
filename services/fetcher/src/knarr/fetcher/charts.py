"""The charts of a commit: every reference of its knarr.yaml files pinned, and the pinned charts' files at hand.

Called by fetch before a snapshot is stored. A reference that fails is a failure of its own in the lock: the commit, its
other charts and its other apps go on. A pin stays as long as it satisfies its reference; the repository is asked again
only for its bytes, and only when they are not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from knarr.fetcher.core.chart_archive import ArchiveLimits, unpack_chart
from knarr.fetcher.core.chart_index import Offer
from knarr.fetcher.core.chart_references import (
    FILE_BYTES,
    exact,
    highest,
    is_app_file,
    is_oci,
    is_sha256,
    reference_in,
    satisfies,
)
from knarr.fetcher.core.tree import TreeDelta, TreeFile
from knarr.fetcher.counters import CHART_FAILURES
from knarr.fetcher.ports import Archives, Charts, Repository
from knarr.pipeline.chart_lock import (
    LOCK_FILE,
    ChartLock,
    ChartReference,
    LockedChart,
    lock_from_bytes,
    lock_to_bytes,
)
from knarr.pipeline.errors import KnarrError, bug, rejected, retryable
from knarr.pipeline.snapshot import FileMode, SnapshotStored
from knarr.service.waiting import all_of

LOG = structlog.get_logger("knarr.fetcher")
_AT_ONCE = 4
_SECONDS = 40.0
_MOST_CHARTS = 100
_MOST_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """The lock, and the files that it adds to the snapshot with their contents by content id.

    `whole`: the files of every pinned chart are among them; otherwise the snapshot before has them.
    """

    lock: ChartLock = field(default_factory=ChartLock)
    whole: bool = False
    files: tuple[TreeFile, ...] = ()
    contents: Mapping[bytes, bytes] = field(default_factory=dict)

    @property
    def lock_bytes(self) -> bytes:
        """What SnapshotStored carries."""
        return lock_to_bytes(self.lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartParts:
    """What pinning works with."""

    charts: Charts
    archives: Archives
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)


def lock_of(snapshot: SnapshotStored | None) -> ChartLock:
    """The snapshot's lock; the empty one when it has none that can be read."""
    try:
        return lock_from_bytes(snapshot.lock) if snapshot is not None else ChartLock()
    except ValueError:
        return ChartLock()


def is_failing(lock: ChartLock) -> bool:
    """Whether a reference waits for another try."""
    return any(chart.code for chart in lock.charts)


async def pin(delta: TreeDelta, before: ChartLock, repository: Repository, parts: ChartParts, *, whole: bool) -> Pinned:
    """The charts of a commit that differs by `delta` from the one that `before` belongs to.

    `whole`: files of all charts are needed; otherwise only if the set of pinned charts differs from that of `before`.
    """
    uses = await _uses(delta, before, repository)
    references = sorted(dict.fromkeys(r for _, r in uses), key=repr)
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(reference: ChartReference) -> tuple[LockedChart, bytes]:
        async with room:
            return await _locked(reference, before, parts, need_bytes=whole)

    found = await all_of(one(reference) for reference in references[:_MOST_CHARTS])
    too_many = rejected("KNR1057", f"a source has at most {_MOST_CHARTS} charts")
    found += [(_failed(reference, too_many), b"") for reference in references[_MOST_CHARTS:]]
    lock = ChartLock(charts=tuple(chart for chart, _ in found), uses=uses)
    if whole:
        return _with_files(lock, found, parts.limits)
    if lock.folders != before.folders:
        again = await pin(delta, replace(lock, uses=before.uses), repository, parts, whole=True)
        if again.lock.folders != before.folders:
            return again
        lock = again.lock
    return _lock_file(Pinned(lock=lock))


async def _uses(delta: TreeDelta, before: ChartLock, repository: Repository) -> tuple[tuple[str, ChartReference], ...]:
    """Every file that names a chart, and what it names. Only changed files are read."""
    touched = {f.path for f in delta.changed} | set(delta.removed)
    kept = () if delta.complete else tuple(u for u in before.uses if u[0].encode() not in touched)
    read = []
    for file in delta.changed:
        if not is_app_file(file.path) or file.mode not in (FileMode.REGULAR, FileMode.EXECUTABLE):
            continue
        reference = reference_in(await _content(file, repository))
        path = file.path.decode("utf-8", "replace")
        if reference is not None and path.encode() == file.path:  # other paths are refused by the renderer
            read.append((path, reference))
    return (*kept, *read)


async def _content(file: TreeFile, repository: Repository) -> bytes:
    sizes = await repository.sizes([file.content_id])
    if sizes[file.content_id] > FILE_BYTES:
        return b""  # the renderer refuses it with a number
    ((_, content),) = await repository.read([file.content_id])
    return content


async def _locked(
    reference: ChartReference, before: ChartLock, parts: ChartParts, *, need_bytes: bool
) -> tuple[LockedChart, bytes]:
    kept = _kept(reference, before)
    try:
        if kept is not None and not need_bytes:
            return replace(kept, reference=reference), b""
        async with asyncio.timeout(_SECONDS):
            return await _resolved(reference, kept, parts)
    except TimeoutError:
        error: KnarrError = retryable("KNR1050", f"chart {reference.name[:80]!r}: no answer within {_SECONDS:.0f} s")
    except KnarrError as raised:
        error = raised
    except Exception:
        LOG.exception("chart failed", chart=reference.name[:80])
        error = bug("KNR1058", f"chart {reference.name[:80]!r} failed unexpectedly")
    CHART_FAILURES.labels(code=error.code).inc()
    failed = _failed(reference, error, kept)
    if failed != before.chart(reference):  # it is tried again at every look, and told when it is news
        LOG.warning("chart not resolved", chart=reference.name[:80], code=error.code, error=error.message)
    return failed, b""


def _failed(reference: ChartReference, error: KnarrError, kept: LockedChart | None = None) -> LockedChart:
    """The failure; a pin is not forgotten over it."""
    version, digest = (kept.version, kept.digest) if kept else ("", "")
    return LockedChart(
        reference=reference, version=version, digest=digest, code=error.code, message=error.message[:500]
    )


def _kept(reference: ChartReference, before: ChartLock) -> LockedChart | None:
    """The pin that still satisfies the reference: its own, else one of the same chart under another range."""
    same = [
        c
        for c in before.charts
        if (c.reference.repository, c.reference.name) == (reference.repository, reference.name)
        and is_sha256(c.digest)
        and satisfies(c.version, reference.version)
    ]
    own = next((c for c in same if c.reference == reference), None)
    found = own or max(same, key=lambda c: (c.version, c.digest), default=None)
    return replace(found, code="", message="") if found else None


async def _resolved(
    reference: ChartReference, kept: LockedChart | None, parts: ChartParts
) -> tuple[LockedChart, bytes]:
    if kept is not None and (archive := await parts.archives.load(kept.digest)) is not None:
        return replace(kept, reference=reference), archive
    wanted = kept.version if kept else ""
    version = wanted or (exact(reference.version) if is_oci(reference) else "")
    offers = (Offer(version=version),) if version and is_oci(reference) else await parts.charts.offers(reference)
    chosen = wanted or highest((o.version for o in offers), reference.version)
    offer = next((o for o in offers if o.version == chosen), None)
    if offer is None:
        raise rejected("KNR1052", f"the repository has no version {chosen} of {reference.name[:80]} any more")
    at_hand = await parts.archives.load(offer.digest) if is_sha256(offer.digest) else None
    archive = at_hand if at_hand is not None else await parts.charts.archive(reference, offer)
    digest = hashlib.sha256(archive).hexdigest()
    if kept is not None and digest != kept.digest:
        raise rejected("KNR1054", f"{reference.name[:80]} {chosen} has another sha256 than when it was pinned")
    unpack_chart(archive, reference.name, parts.limits)  # refused now rather than when it is stored
    await parts.archives.keep(archive)
    return LockedChart(reference=reference, version=chosen, digest=digest), archive


def _with_files(lock: ChartLock, found: Iterable[tuple[LockedChart, bytes]], limits: ArchiveLimits) -> Pinned:
    files: dict[bytes, TreeFile] = {}
    contents: dict[bytes, bytes] = {}
    charts: list[LockedChart] = []
    for locked, archive in found:
        chart = locked
        unpacked: tuple[tuple[bytes, bytes], ...] = ()
        try:
            if chart.folder:
                unpacked = unpack_chart(archive, chart.reference.name, limits)
            if sum(map(len, contents.values())) + sum(len(c) for _, c in unpacked) > _MOST_BYTES:
                raise rejected("KNR1055", f"the charts of one source unfold to more than {_MOST_BYTES} bytes")
        except KnarrError as error:
            chart, unpacked = _failed(chart.reference, error, chart), ()
        charts.append(chart)
        for path, content in unpacked:
            file = _file(f"{chart.folder}/".encode() + path, content)
            files[file.path], contents[file.content_id] = file, content
    return _lock_file(
        Pinned(lock=replace(lock, charts=tuple(charts)), whole=True, files=tuple(files.values()), contents=contents)
    )


def _lock_file(pinned: Pinned) -> Pinned:
    """The lock is a file of the snapshot as well, so that who reads the files needs nothing else."""
    content = pinned.lock_bytes
    if not content:
        return pinned
    file = _file(LOCK_FILE.encode(), content)
    return replace(pinned, files=(*pinned.files, file), contents={**pinned.contents, file.content_id: content})


def _file(path: bytes, content: bytes) -> TreeFile:
    content_id = hashlib.sha1(b"blob %d\0" % len(content) + content).digest()  # noqa: S324 - what Git calls a content
    return TreeFile(path=path, mode=FileMode.REGULAR, content_id=content_id)
