"""What one run of a renderer is made from: folder, files, options; and its cache key.

Clusters whose specs agree share one run. The key holds everything that the output depends on (lessons: a key that
omits an option serves a stale rendering under the right label).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from knarr.bundle.canonical import canonical_json
from knarr.pipeline.digest import digest_of
from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure
from knarr.renderer.core import kustomize
from knarr.renderer.core.discover import FoundApp, detect
from knarr.renderer.core.documents import App, Target
from knarr.renderer.core.failures import failure
from knarr.renderer.core.layout import Layout, folders_layout, plain_layout
from knarr.renderer.core.limits import Limits
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


def spec_of(found: FoundApp, app: App, target: Target, ground: Ground) -> Spec:
    """How `target` of `app` is rendered."""
    origin = target.origin or app.origin
    try:
        base = resolve(found.folder, app.path, "path", origin) if app.path else found.folder
        folder = resolve(base, target.overlay, "overlay", origin) if target.overlay else base
    except KnarrError as error:
        return Spec(failures=(failure_of(error),))
    if folder and not ground.tree.is_folder(folder):
        field_name = "overlay" if target.overlay else "path"
        return Spec(failures=(failure("KNR2305", f"{field_name}: {folder!r} does not exist", origin=origin),))
    renderer = app.renderer or detect(ground.tree, folder)
    match renderer:
        case "kustomize":
            return _kustomize(folder, ground)
        case "plain":
            return _plain(folder, ground)
    return Spec(failures=(failure("KNR2405", f"the renderer {renderer!r} is not available", origin=origin),))


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
