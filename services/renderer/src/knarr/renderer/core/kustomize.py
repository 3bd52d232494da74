"""What a kustomization reads: every folder and file that it refers to, found before kustomize runs.

The closure is what the tool is given and what the cache key is made of. Every path-like field is resolved here and
refused with a number when it leaves the source, is remote, is missing, or asks for code to be run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.snapshot import FileMode
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.paths import resolve
from knarr.renderer.core.tree import Contents, Tree, content_of, join
from knarr.renderer.core.yaml_kubectl import Document, read_documents

FILE_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FOLDERS_OR_FILES = ("resources", "bases", "components", "generators", "transformers", "validators")
_FILES = ("crds", "configurations", "patchesStrategicMerge")
_WITH_PATH = ("patches", "patchesJson6902", "replacements")
_GENERATORS = ("configMapGenerator", "secretGenerator")
_CHARTS = ("helmCharts", "helmChartInflationGenerator", "helmGlobals")
_PLUGIN_LISTS = ("generators", "transformers", "validators")
_FUNCTION_ANNOTATIONS = ("config.kubernetes.io/function", "config.k8s.io/function")
_PATH_KEYS = frozenset({"files", "envs", "env", "path", "paths", "chartHome", "valuesFile", "additionalValuesFiles"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Folders that are read whole, in the order of their paths; or what stands in the way."""

    folders: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()


def closure(tree: Tree, contents: Contents, folder: str, limits: Limits) -> Closure:
    """Everything that the kustomization in `folder` reads."""
    walk = _Walk(tree, contents, limits)
    walk.visit(folder, folder or ".", ())
    return Closure(folders=_outermost(walk.folders), failures=tuple(walk.failures))


def kustomization_file(tree: Tree, folder: str) -> str:
    """The path of the kustomization in `folder`; empty when there is none."""
    return next((join(folder, n) for n in FILE_NAMES if tree.file(join(folder, n)) is not None), "")


class _Walk:
    """One walk over a kustomization and what it refers to; collects folders and failures."""

    def __init__(self, tree: Tree, contents: Contents, limits: Limits) -> None:
        self._tree, self._contents, self._limits = tree, contents, limits
        self.folders: dict[str, None] = {}
        self.failures: list[Failure] = []

    def visit(self, folder: str, origin: str, above: tuple[str, ...]) -> None:
        if folder in above:
            self._refuse("KNR2309", f"{' -> '.join(f or '.' for f in (*above, folder))} is a circle", origin)
            return
        if folder in self.folders:
            return
        if len(above) >= self._limits.kustomize_depth:
            self._refuse("KNR2309", f"bases nested deeper than {self._limits.kustomize_depth}", origin)
            return
        path = kustomization_file(self._tree, folder)
        if not path:
            self._refuse("KNR2305", f"{folder or '.'} has no kustomization.yaml", origin)
            return
        self.folders[folder] = None
        for document in self._documents(path):
            self._references(document, folder, above)

    def _references(self, document: Document, folder: str, above: tuple[str, ...]) -> None:
        value, origin = document.value, document.origin
        if not isinstance(value, dict):
            self._refuse("KNR2001", "a kustomization is a mapping", origin)
            return
        for field in _CHARTS:
            if value.get(field):
                message = f"{field}: charts are rendered by the helm renderer, not from inside kustomize"
                self._refuse("KNR2311", message, origin)
        for field, reference in _references_of(value):
            target = self._resolved(folder, reference, field, origin)
            if target is None:
                continue
            if self._tree.is_folder(target) and field in _FOLDERS_OR_FILES:
                self.visit(target, origin, (*above, folder))
            elif field in _PLUGIN_LISTS:
                self._plugin_file(target, folder)
        for field in _PLUGIN_LISTS:
            for inline in _inline(value.get(field)):
                self._plugin_text(inline, document.file, folder)

    def _resolved(self, folder: str, reference: str, field: str, origin: str) -> str | None:
        try:
            target = resolve(folder, reference, field, origin)
        except KnarrError as error:
            self.failures.append(failure_of(error))
            return None
        file = self._tree.file(target)
        if file is None and not (self._tree.is_folder(target) or target == ""):
            self._refuse("KNR2305", f"{field}: {reference!r} does not exist", origin)
            return None
        if file is not None and file.mode is FileMode.SYMLINK:
            self._refuse("KNR2304", f"{field}: {reference!r} is a symlink", origin)
            return None
        if file is not None and file.mode is FileMode.SUBMODULE:
            self._refuse("KNR2308", f"{field}: {reference!r} is a submodule", origin)
            return None
        return target

    def _plugin_file(self, path: str, folder: str) -> None:
        for document in self._documents(path):
            self._plugin(document.value, document.origin, folder)

    def _plugin_text(self, text: str, file: str, folder: str) -> None:
        try:
            for document in read_documents(text.encode(), file, self._limits):
                self._plugin(document.value, file, folder)
        except KnarrError as error:
            self.failures.append(failure_of(error))

    def _plugin(self, value: Any, origin: str, folder: str) -> None:
        """Built-in plugin configurations may be used; functions, exec and Go plugins run code and are refused."""
        if not isinstance(value, dict):
            return
        annotations = (value.get("metadata") or {}).get("annotations") or {}
        runs = [key for key in _FUNCTION_ANNOTATIONS if key in annotations]
        if runs or value.get("apiVersion") not in ("builtin", None):
            kind = f"{value.get('apiVersion')}/{value.get('kind')}"[:80]
            self._refuse("KNR2306", f"{kind} is a plugin that runs code; only built-in ones are allowed", origin)
            return
        for reference in _path_like(value):
            self._resolved(folder, reference, str(value.get("kind")), origin)

    def _documents(self, path: str) -> tuple[Document, ...]:
        try:
            content = content_of(self._tree.files[path], self._contents, self._limits.file_bytes)
            return read_documents(content, path, self._limits)
        except KnarrError as error:
            self.failures.append(failure_of(error))
            return ()

    def _refuse(self, code: str, message: str, origin: str) -> None:
        self.failures.append(failure(code, message, origin=origin))


def _references_of(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, path) of everything that the kustomization refers to."""
    for field in (*_FOLDERS_OR_FILES, *_FILES):
        for item in _list(value.get(field)):
            if isinstance(item, str) and "\n" not in item:
                yield field, item
    for field in _WITH_PATH:
        for item in _list(value.get(field)):
            if isinstance(item, dict) and isinstance(item.get("path"), str):
                yield field, item["path"]
    for field in _GENERATORS:
        for item in _list(value.get(field)):
            if isinstance(item, dict):
                yield from ((field, path) for path in _generator_paths(item))
    openapi = value.get("openapi")
    if isinstance(openapi, dict) and isinstance(openapi.get("path"), str):
        yield "openapi", openapi["path"]


def _generator_paths(item: Mapping[str, Any]) -> Iterator[str]:
    for entry in _list(item.get("files")):
        if isinstance(entry, str):
            yield entry.partition("=")[2] or entry
    for entry in (*_list(item.get("envs")), item.get("env")):
        if isinstance(entry, str):
            yield entry


def _path_like(value: Any, key: str = "") -> Iterator[str]:
    """Text under keys that built-in plugins read as paths."""
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in ("metadata", "target", "select", "fieldSpecs", "options"):
                yield from _path_like(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _path_like(item, key)
    elif isinstance(value, str) and key in _PATH_KEYS and "\n" not in value:
        yield value.partition("=")[2] or value


def _inline(value: Any) -> Iterator[str]:
    return (item for item in _list(value) if isinstance(item, str) and "\n" in item)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _outermost(folders: Mapping[str, None]) -> tuple[str, ...]:
    """The folders without those that lie below another."""
    kept: list[str] = []
    for folder in sorted(folders):
        if not any(k == "" or folder.startswith(k + "/") for k in kept):
            kept.append(folder)
    return tuple(kept)
