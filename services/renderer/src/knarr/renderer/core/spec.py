"""What one run of a renderer is made from: folder, files, options; and its cache key.

Clusters whose specs agree share one run. The key holds everything that the output depends on (lessons: a key that
omits an option serves a stale rendering under the right label).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from knarr.bundle.canonical import canonical_json
from knarr.pipeline.chart_lock import LOCK_FILE, ChartReference
from knarr.pipeline.digest import digest_of
from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure
from knarr.renderer.core import charts, helm, jsonnet, kustomize
from knarr.renderer.core.discover import FoundApp, detect
from knarr.renderer.core.documents import App, Cluster
from knarr.renderer.core.failures import failure
from knarr.renderer.core.helm_needs import Source
from knarr.renderer.core.layout import Layout, folders_layout, plain_layout
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.matrix import Clusters, Placement, group
from knarr.renderer.core.paths import resolve
from knarr.renderer.core.tree import Contents, File, Tree

FORMAT = b"knarr/render/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One run of a renderer, or what stands in the way."""

    renderer: str = ""
    folder: str = ""
    files: tuple[File, ...] = ()
    folders: tuple[str, ...] = ()  # the output depends on these and on nothing else of the tree
    options: Mapping[str, Any] = field(default_factory=dict)
    digest: bytes = b""
    failures: tuple[Failure, ...] = ()

    def key(self, tool_version: str) -> bytes:
        """The cache key of the run's output."""
        return digest_of(
            (
                FORMAT,
                self.renderer.encode(),
                tool_version.encode(),
                self.folder.encode("utf-8", "surrogateescape"),
                self.digest,
                canonical_json(self.options),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The source that an app lies in: its tree, contents, all its app folders, limits."""

    tree: Tree
    contents: Contents
    app_folders: frozenset[str]
    limits: Limits


def specs_of(found: FoundApp, app: App, placement: Placement, ground: Ground) -> tuple[tuple[Clusters, Spec], ...]:
    """The runs that `placement` needs, each with the clusters that share it."""
    target, origin = placement.target, placement.target.origin or app.origin
    if app.helm.chart is not None:
        return _remote_chart(found, app, app.helm.chart, placement, ground)
    try:
        base = resolve(found.folder, app.path, "path", origin) if app.path else found.folder
        folder = resolve(base, target.overlay, "overlay", origin) if target.overlay else base
    except KnarrError as error:
        return ((placement.clusters, Spec(failures=(failure_of(error),))),)
    if folder and not ground.tree.is_folder(folder):
        field_name = "overlay" if target.overlay else "path"
        missing = failure("KNR2305", f"{field_name}: {folder!r} does not exist", origin=origin)
        return ((placement.clusters, Spec(failures=(missing,))),)
    match app.renderer or detect(ground.tree, folder):
        case "kustomize":
            return ((placement.clusters, _kustomize(folder, ground)),)
        case "helm":
            return _helm(found, app, placement, folder, ground)
        case "jsonnet":
            return _jsonnet(app, placement, folder, ground)
    return ((placement.clusters, _plain(folder, ground)),)


def _remote_chart(
    found: FoundApp, app: App, reference: ChartReference, placement: Placement, ground: Ground
) -> tuple[tuple[Clusters, Spec], ...]:
    """The runs of an app whose chart the fetcher has brought with the commit."""
    if app.path or placement.target.overlay or app.renderer not in ("", "helm"):
        both = failure("KNR2411", "helm.chart holds with no path, overlay or other renderer", origin=app.origin)
        return ((placement.clusters, Spec(failures=(both,))),)
    folder = charts.locked_folder(ground.tree, ground.contents, reference, app.origin)
    if isinstance(folder, Failure):
        return ((placement.clusters, Spec(failures=(folder,))),)
    runs = _helm(found, app, placement, folder, ground)
    # The lock says which folder it is; it is no part of the output.
    return tuple((clusters, replace(spec, folders=(*spec.folders, LOCK_FILE))) for clusters, spec in runs)


def _helm(
    found: FoundApp, app: App, placement: Placement, folder: str, ground: Ground
) -> tuple[tuple[Clusters, Spec], ...]:
    source = Source(tree=ground.tree, contents=ground.contents, limits=ground.limits)
    chart = helm.chart_of(source, folder, found.folder, app, placement.target)
    folders = (folder, *(f.path for f in chart.values_files if not f.path.startswith(folder + "/")))
    layout = folders_layout(ground.tree, folders, ground.limits, chart.mounts)
    read = (*folders, *(mount.folder for mount in chart.mounts), *((LOCK_FILE,) if chart.reads_lock else ()))
    bare = _with(_laid_out("helm", folder, read, layout), (), chart.failures)

    def options(cluster: Cluster) -> dict[str, Any] | list[Failure]:
        return helm.options_for(found.name, chart, app, placement.target, cluster)

    return _by_options(bare, placement, options)


def _jsonnet(app: App, placement: Placement, folder: str, ground: Ground) -> tuple[tuple[Clusters, Spec], ...]:
    program = jsonnet.program_of(ground.tree, ground.contents, ground.limits, folder, app)
    layout = folders_layout(ground.tree, program.folders or (folder,), ground.limits)
    bare = _with(_laid_out("jsonnet", folder, program.folders, layout), (), program.failures)

    def options(cluster: Cluster) -> dict[str, Any] | list[Failure]:
        return jsonnet.options_for(program, app, placement.target, cluster)

    return _by_options(bare, placement, options)


def _by_options(
    bare: Spec, placement: Placement, options_for: Callable[[Cluster], dict[str, Any] | list[Failure]]
) -> tuple[tuple[Clusters, Spec], ...]:
    """Clusters whose options agree share a run."""
    if bare.failures:
        return ((placement.clusters, bare),)
    options = {cluster.name: options_for(cluster) for cluster in placement.clusters}

    def key(cluster: Cluster) -> bytes:
        own = options[cluster.name]
        return canonical_json(own) if isinstance(own, dict) else repr([f.message for f in own]).encode()

    made = []
    for members in group(placement.clusters, key):
        own = options[members[0].name]
        made.append((members, _with(bare, own if isinstance(own, dict) else {}, [] if isinstance(own, dict) else own)))
    return tuple(made)


def _with(spec: Spec, options: Mapping[str, Any] | tuple[()], failures: Iterable[Failure]) -> Spec:
    return replace(spec, options=dict(options), failures=(*spec.failures, *failures))


def _kustomize(folder: str, ground: Ground) -> Spec:
    closure = kustomize.closure(ground.tree, ground.contents, folder, ground.limits)
    if closure.failures:
        return Spec(renderer="kustomize", folder=folder, failures=closure.failures)
    layout = folders_layout(ground.tree, closure.folders, ground.limits)
    return _laid_out("kustomize", folder, closure.folders, layout)


def _plain(folder: str, ground: Ground) -> Spec:
    layout = plain_layout(ground.tree, folder, ground.app_folders, ground.limits)
    return _laid_out("plain", folder, (folder,), layout)


def _laid_out(renderer: str, folder: str, folders: tuple[str, ...], layout: Layout) -> Spec:
    return Spec(
        renderer=renderer,
        folder=folder,
        files=layout.files,
        folders=folders,
        digest=layout.digest,
        failures=layout.failures,
    )
