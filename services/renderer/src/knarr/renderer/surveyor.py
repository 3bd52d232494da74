"""Surveys the sources with a memory: documents that did not change are not parsed again (I11)."""

from __future__ import annotations

from collections.abc import Mapping

from knarr.pipeline.codec import encode
from knarr.pipeline.digest import digest_of
from knarr.pipeline.errors import Rejected
from knarr.pipeline.names import FLEET_SOURCE, AppName, SourceName
from knarr.pipeline.revision import RevisionRendered
from knarr.pipeline.snapshot import FileMode
from knarr.renderer.app import FleetContext
from knarr.renderer.core.crds import MARK, Crd, crds_in
from knarr.renderer.core.discover import FoundApp, read_app
from knarr.renderer.core.documents import APP_FILE
from knarr.renderer.core.fleet import FleetView, document_paths, document_reader, read_fleet
from knarr.renderer.core.layout import MANIFEST_ENDINGS
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.matrix import ClusterIndex
from knarr.renderer.core.parse import Parsed
from knarr.renderer.core.spec import Ground
from knarr.renderer.core.survey import Survey, survey
from knarr.renderer.core.tree import Contents, File, Tree, join
from knarr.renderer.core.validate import Crds
from knarr.renderer.core.yaml_kubectl import read_documents
from knarr.renderer.memory import Remembered
from knarr.renderer.ports import FactsRead, Snapshot

_REGULAR = (FileMode.REGULAR, FileMode.EXECUTABLE)


class Surveyor:
    """Makes the survey of a moment from snapshots, facts and what was published."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._documents: Remembered[tuple[str, bytes], Parsed] = Remembered(65_536)
        self._apps: Remembered[tuple[str, str, bytes], FoundApp] = Remembered(65_536)
        self._crd_files: Remembered[bytes, tuple[Crd, ...]] = Remembered(200_000)
        self._fleets: Remembered[bytes, FleetContext] = Remembered(4)

    def survey(
        self, snapshots: Mapping[SourceName, Snapshot], facts: FactsRead, published: Mapping[AppName, RevisionRendered]
    ) -> tuple[Survey, FleetContext]:
        """The survey, and what all apps share. An empty or unreadable source has no ground (I1)."""
        trees = {
            name: (snapshot.tree, snapshot.contents)
            for name, snapshot in snapshots.items()
            if snapshot.tree is not None and snapshot.tree.files
        }
        if FLEET_SOURCE not in trees:
            context = FleetContext(view=FleetView(), index=ClusterIndex(()), crds={}, digest=b"")
            return Survey(fleet=context.view), context
        context = self._context(*trees[FLEET_SOURCE], facts, self._crds(trees))
        return survey(context.view, trees, published, self._read_app, self._limits), context

    def _context(self, tree: Tree, contents: Contents, facts: FactsRead, crds: Crds) -> FleetContext:
        parts = [part for path in sorted(document_paths(tree)) for part in (path.encode(), tree.digest(path))]
        known = (part for crd in crds.values() for part in (crd.group.encode(), crd.kind.encode(), crd.digest))
        digest = digest_of((*parts, *(encode(f) for f in facts.facts), *known))

        def make() -> FleetContext:
            reader = document_reader(contents, self._limits)

            def read(file: File, kinds: tuple[str, ...]) -> Parsed:
                return self._documents.make((file.path, file.content_id), lambda: reader(file, kinds))

            view = read_fleet(tree, read, facts.facts)
            return FleetContext(view=view, index=ClusterIndex(view.clusters), crds=crds, digest=digest)

        return self._fleets.make(digest, make)

    def _crds(self, trees: Mapping[SourceName, tuple[Tree, Contents]]) -> dict[tuple[str, str], Crd]:
        """Every CRD that lies in any source as a file. The first one of a kind counts."""
        found: dict[tuple[str, str], Crd] = {}
        for name in sorted(trees):
            tree, contents = trees[name]
            for file in tree.files.values():
                if file.path.endswith(MANIFEST_ENDINGS) and file.size <= self._limits.file_bytes:
                    for crd in self._crds_of(file, contents):
                        found.setdefault((crd.group, crd.kind), crd)
        return dict(sorted(found.items()))

    def _crds_of(self, file: File, contents: Contents) -> tuple[Crd, ...]:
        known = self._crd_files.get(file.content_id)
        if known is not None:
            return known
        data = contents.read(file.content_id) if file.mode in _REGULAR else b""
        found: tuple[Crd, ...] = ()
        if MARK in data:
            try:
                found = tuple(crds_in(d.value for d in read_documents(data, file.path, self._limits)))
            except Rejected:
                found = ()  # the app that it belongs to says so
        return self._crd_files.put(file.content_id, found)

    def _read_app(self, ground: Ground, folder: str, source: SourceName) -> FoundApp:
        file = ground.tree.file(join(folder, APP_FILE))
        key = (source, folder, file.content_id if file else b"")
        return self._apps.make(key, lambda: read_app(ground.tree, folder, source, ground.contents, self._limits))
