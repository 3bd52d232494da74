"""Charts of repositories on a laptop: fetched by the fetcher's own code, where the person allows the network.

Used by `knarr vet`, `render` and `diff`. Archives are kept in the user's cache. A range may mean a newer version here
than the one that the fetcher has pinned; an exact version, and a Chart.lock, mean the same everywhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from knarr.fetcher.core.tree import TreeDelta
    from knarr.fetcher.resolve import ChartParts
    from knarr.fetcher.settings import Network
    from knarr.pipeline.chart_lock import ChartLock
    from knarr.pipeline.names import SourceName
    from knarr.renderer.core.tree import Contents, Tree
    from knarr.renderer.ports import Snapshot


def chart_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say whether charts may be fetched, and with which logins."""
    fetch = click.option(
        "--fetch-charts",
        is_flag=True,
        help="Ask repositories for the charts that apps name; else they are not checked.",
    )
    logins = click.option(
        "--credentials",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Logins of private repositories, in the form of the fetcher's credentials file.",
    )
    return fetch(logins(command))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartFetching:
    """Whether charts are fetched; remembers pins from one look to the next, so that a range does not move between."""

    wanted: bool = False
    credentials: Path | None = None
    locks: dict[SourceName, ChartLock] = field(default_factory=dict)

    async def complete(self, snapshots: Mapping[SourceName, Snapshot]) -> dict[SourceName, Snapshot]:
        """The snapshots with the files of their charts."""
        if not self.wanted:
            return dict(snapshots)
        from knarr.cli.install.access import network
        from knarr.fetcher.adapters.charts.web import Web
        from knarr.service.logs import configure_logging

        configure_logging("knarr", "error")  # to stderr: what is printed may be for a program
        way = network()
        web = Web(hosts=way.chart_hosts, plain_http=way.plain_http, ca_bundle=way.ca_bundle)
        try:
            parts = _parts(web, self.credentials, way)
            return {name: await self._completed(name, found, parts) for name, found in snapshots.items()}
        finally:
            await web.close()

    async def _completed(self, name: SourceName, snapshot: Snapshot, parts: ChartParts) -> Snapshot:
        from knarr.fetcher.charts import Change, pin
        from knarr.pipeline.chart_lock import ChartLock
        from knarr.renderer.core.tree import File, Tree

        if snapshot.tree is None:
            return snapshot
        files = _Files(snapshot.tree, snapshot.contents)
        change = Change(tree_id="", delta=files.whole)
        pinned = await pin(change, self.locks.get(name, ChartLock()), files, parts, whole=True)
        self.locks[name] = pinned.lock
        added = (
            File(path=f.path.decode(), mode=f.mode, content_id=f.content_id, size=len(pinned.contents[f.content_id]))
            for f in pinned.files
        )
        tree = Tree(sorted((*snapshot.tree.files.values(), *added), key=lambda f: f.path))
        return replace(snapshot, tree=tree, contents=_Overlaid(snapshot.contents, pinned.contents))


def _parts(web: Any, credentials: Path | None, way: Network) -> ChartParts:
    from knarr.fetcher.adapters.charts.archives import ArchiveFolder
    from knarr.fetcher.adapters.charts.repositories import WebCharts
    from knarr.fetcher.adapters.credentials import CredentialsFile
    from knarr.fetcher.core.address import AddressRules
    from knarr.fetcher.resolve import ChartParts, Patience

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "knarr" / "charts"
    rules = AddressRules(plain_http=way.plain_http)
    return ChartParts(
        charts=WebCharts(web, CredentialsFile(credentials), rules, way.proxy),
        archives=ArchiveFolder(cache),
        patience=Patience(time.monotonic),
    )


class _Files:
    """A snapshot as the fetcher reads a repository's files."""

    def __init__(self, tree: Tree, contents: Contents) -> None:
        from knarr.fetcher.core.tree import TreeDelta, TreeFile

        self._contents = contents
        self._sizes = {f.content_id: f.size for f in tree.files.values()}
        changed = tuple(
            TreeFile(path=path.encode("utf-8", "surrogateescape"), mode=f.mode, content_id=f.content_id)
            for path, f in tree.files.items()
        )
        self.whole = TreeDelta(changed=changed, complete=True, growth=len(changed))

    async def changes(self, old_tree: str | None, new_tree: str) -> TreeDelta:
        """Always the whole."""
        return self.whole

    async def sizes(self, content_ids: Iterable[bytes]) -> Mapping[bytes, int]:
        """Bytes of each content."""
        return {content_id: self._sizes[content_id] for content_id in content_ids}

    async def read(self, content_ids: Iterable[bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """(content id, content) in the order asked for."""
        return tuple((content_id, self._contents.read(content_id)) for content_id in content_ids)


class _Overlaid:
    """A source's contents, and those of its charts."""

    def __init__(self, below: Contents, charts: Mapping[bytes, bytes]) -> None:
        self._below, self._charts = below, charts

    def read(self, content_id: bytes) -> bytes:
        """The content."""
        found = self._charts.get(content_id)
        return found if found is not None else self._below.read(content_id)
