"""The charts of a commit: every reference of its knarr.yaml and Chart.yaml files pinned, their files at hand.

Called by fetch before a snapshot is stored. A reference that fails is a failure of its own in the lock: the commit, its
other charts and its other apps go on.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import structlog

from knarr.fetcher.beside import beside_the_loop
from knarr.fetcher.core.chart_archive import unpack_chart
from knarr.fetcher.core.chart_dependencies import (
    CHART_FILE,
    CHART_LOCK,
    REGULAR,
    dependencies_in,
    descriptions_in,
    is_chart_description,
    is_chart_file,
    vendored_in,
)
from knarr.fetcher.core.chart_references import FILE_BYTES, is_app_file, reference_in
from knarr.fetcher.core.tree import TreeDelta, TreeFile
from knarr.fetcher.ports import Files
from knarr.fetcher.resolve import ChartParts, failed, locked
from knarr.pipeline.chart_lock import (
    LOCK_FILE,
    ChartLock,
    ChartReference,
    LockedChart,
    lock_from_bytes,
    lock_to_bytes,
)
from knarr.pipeline.errors import KnarrError, rejected, retryable
from knarr.pipeline.snapshot import FileMode, SnapshotStored
from knarr.service.waiting import all_of

_AT_ONCE = 4
_MOST_CHARTS = 200
_MOST_CHART_FILES = 2_000
_MOST_USES = 2_000
_MOST_READ_BYTES = 1024 * 1024
_MOST_BYTES = 128 * 1024 * 1024


LOG = structlog.get_logger("knarr.fetcher")
_Use = tuple[str, ChartReference]


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


def lock_of(snapshot: SnapshotStored | None) -> ChartLock | None:
    """The snapshot's lock, the empty one without a snapshot; None when it cannot be read: an older fetcher wrote it."""
    try:
        return lock_from_bytes(snapshot.lock) if snapshot is not None else ChartLock()
    except ValueError:
        return None


def is_failing(lock: ChartLock) -> bool:
    """Whether a reference waits for another try."""
    return any(chart.code for chart in lock.charts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A commit's tree (hex id), and how it differs from the one that the lock before belongs to."""

    tree_id: str
    delta: TreeDelta = field(default_factory=lambda: TreeDelta(changed=()))


async def pin(change: Change, before: ChartLock, repository: Files, parts: ChartParts, *, whole: bool) -> Pinned:
    """The charts of a commit.

    `whole`: files of all charts are needed; otherwise only if the set of pinned charts differs from that of `before`.
    """
    named = (
        *await _uses_of_apps(change.delta, before, repository),
        *await _uses_of_charts(change, before, repository),
    )
    uses = tuple(sorted(named, key=_apps_first)[:_MOST_USES])
    references = list(dict.fromkeys(r for _, r in uses))
    room = asyncio.Semaphore(_AT_ONCE)

    async def one(reference: ChartReference) -> LockedChart:
        async with room:
            return await locked(reference, before, parts, at_hand=whole)

    found = await all_of(one(reference) for reference in references[:_MOST_CHARTS])
    too_many = rejected("KNR1057", f"a source has at most {_MOST_CHARTS} charts")
    found += [failed(reference, too_many) for reference in references[_MOST_CHARTS:]]
    lock = ChartLock(charts=tuple(found), uses=uses)
    if whole:
        return await _with_files(lock, parts)
    if lock.folders != before.folders:
        again = await pin(change, replace(lock, uses=before.uses), repository, parts, whole=True)
        if again.lock.folders != before.folders:
            return again
        lock = again.lock
    return _lock_file(Pinned(lock=lock))


def _apps_first(use: _Use) -> tuple[bool, str, str]:
    """Where there are too many charts, those that apps name come first: a chart in Git may be used by nobody."""
    return is_chart_description(use[0].encode()), repr(use[1]), use[0]


async def _uses_of_apps(delta: TreeDelta, before: ChartLock, repository: Files) -> tuple[_Use, ...]:
    """Every knarr.yaml that names a chart, and what it names. Only changed files are read."""
    touched = {f.path for f in delta.changed} | set(delta.removed)
    uses = (u for u in before.uses if is_app_file(u[0].encode()))
    kept = () if delta.complete else tuple(u for u in uses if u[0].encode() not in touched)
    read: list[_Use] = []
    for file in delta.changed:
        if not is_app_file(file.path) or file.mode not in (FileMode.REGULAR, FileMode.EXECUTABLE):
            continue
        reference = reference_in(await _content(file, repository))
        path = _text(file.path)
        if reference is not None and path:
            read.append((path, reference))
    return (*kept, *read)


async def _uses_of_charts(change: Change, before: ChartLock, repository: Files) -> tuple[_Use, ...]:
    """Every Chart.yaml that depends on charts from elsewhere; read anew when any chart's parts have changed."""
    delta = change.delta
    touched = (*(f.path for f in delta.changed), *delta.removed)
    if not delta.complete and not any(is_chart_file(path) for path in touched):
        return tuple(u for u in before.uses if is_chart_description(u[0].encode()))
    whole = delta if delta.complete else await repository.changes(None, change.tree_id)
    files = {file.path: file for file in whole.changed}
    names = vendored_in(files)
    uses: list[_Use] = []
    left = _MOST_READ_BYTES
    for path in descriptions_in(files)[:_MOST_CHART_FILES]:
        folder = path.removesuffix(CHART_FILE)
        lock = files.get(folder + CHART_LOCK)
        locked_versions = await _content(lock, repository) if lock is not None and lock.mode in REGULAR else None
        description = await _content(files[path], repository)
        left -= len(description) + len(locked_versions or b"")
        if left < 0 or len(uses) >= _MOST_USES:
            LOG.warning("charts not looked at: there are too many, or too large ones", first=_text(path)[:200])
            break
        inside = names.get(folder.removesuffix(b"/"), frozenset())
        found = await beside_the_loop(dependencies_in, description, locked_versions, inside)
        uses += [(_text(path), r) for r in found if _text(path)]
    return tuple(uses)


def _text(path: bytes) -> str:
    """Empty for a path that is not UTF-8: the renderer refuses it."""
    text = path.decode("utf-8", "replace")
    return text if text.encode() == path else ""


async def _content(file: TreeFile, repository: Files) -> bytes:
    sizes = await repository.sizes([file.content_id])
    if sizes[file.content_id] > FILE_BYTES:
        return b""  # the renderer refuses it with a number
    ((_, content),) = await repository.read([file.content_id])
    return content


async def _with_files(lock: ChartLock, parts: ChartParts) -> Pinned:
    """One archive at a time, and each once, whatever the number of references that mean it."""
    files: dict[bytes, TreeFile] = {}
    contents: dict[bytes, bytes] = {}
    done: dict[str, KnarrError | None] = {}
    charts: list[LockedChart] = []
    room = _MOST_BYTES
    for chart in lock.charts:
        if chart.folder and chart.digest not in done:
            try:
                unpacked = await _unpacked(chart, parts)
                room -= sum(len(content) for _, content in unpacked)
                if room < 0:
                    raise rejected("KNR1055", f"the charts of one source unfold to more than {_MOST_BYTES} bytes")
            except KnarrError as error:
                done[chart.digest] = error
            else:
                done[chart.digest] = None
                for path, content in unpacked:
                    file = _file(f"{chart.folder}/".encode() + path, content)
                    files[file.path], contents[file.content_id] = file, content
        wrong = done.get(chart.digest) if chart.folder else None
        charts.append(failed(chart.reference, wrong, chart) if wrong is not None else chart)
    return _lock_file(
        Pinned(lock=replace(lock, charts=tuple(charts)), whole=True, files=tuple(files.values()), contents=contents)
    )


async def _unpacked(chart: LockedChart, parts: ChartParts) -> tuple[tuple[bytes, bytes], ...]:
    archive = await parts.archives.load(chart.digest)
    if archive is None:
        raise retryable("KNR1050", f"chart {chart.reference.name[:80]!r} could not be kept")
    return await beside_the_loop(unpack_chart, archive, chart.reference.name, parts.limits)


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
