"""What a chart in Git depends on, and where that lies: in its charts/, elsewhere in the source, or in the lock.

A subchart whose version does not fit is refused: Helm would leave it out without a word, and what it made would be
deleted (lessons: an error read as empty).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Any

from knarr.pipeline.errors import KnarrError, Rejected, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.subcharts import packed_version, vendored
from knarr.pipeline.versions import range_of, satisfies, version_of
from knarr.renderer.core.charts import dependency_of, locked_folder
from knarr.renderer.core.layout import Mount
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.paths import is_remote, resolve, without_credentials
from knarr.renderer.core.tree import Contents, Tree, content_of, join
from knarr.renderer.core.yaml_kubectl import read_documents

CHART_FILE = "Chart.yaml"
_FILE = "file://"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DEPTH = 8
_MOST = 200
_VERSIONS = 20
_Described = dict[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the chart lies."""

    tree: Tree
    contents: Contents
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Folders that the chart sees in its charts/; `reads_lock`: the lock says which."""

    mounts: tuple[Mount, ...] = ()
    reads_lock: bool = False
    failures: tuple[Failure, ...] = ()


def needs_of(source: Source, folder: str) -> Needs:
    """Everything that the chart in `folder` needs from outside its charts/. KNR2408 among the failures."""
    mounts: list[Mount] = []
    failures: list[Failure] = []
    reads_lock = False
    described: _Described = {}
    charts = [(folder, folder, 0)]  # where it lies, where the tool sees it, how deep
    left, room = _MOST, source.limits.app_files
    while charts:
        lies, seen, depth = charts.pop()
        path = join(lies, CHART_FILE)
        try:
            if depth > _DEPTH:
                raise Rejected("KNR2408", f"dependencies are nested deeper than {_DEPTH}", origin=path)
            listed = _dependencies(source, path, described)
            left -= len(listed)
            if left < 0:
                raise Rejected("KNR2408", f"the chart has more than {_MOST} dependencies", origin=path)
        except Rejected as error:
            failures.append(failure_of(error))
            continue
        inside = source.tree.names(join(lies, "charts"))
        for dependency in listed:
            try:
                if _is_vendored(source, lies, inside, dependency, described):
                    continue
                beside = dependency["repository"].startswith(_FILE)
                found = _beside(source, lies, dependency, described) if beside else _locked(source, path, dependency)
                room -= sum(1 for _ in islice(source.tree.under(found), room + 1))
                if room < 0:
                    raise Rejected(
                        "KNR2307",
                        f"with its dependencies it has more than {source.limits.app_files} files",
                        origin=path,
                    )
                mounts.append(Mount(at=_free(dependency["name"], join(seen, "charts"), inside, mounts), folder=found))
                reads_lock |= not beside
                if beside:
                    charts.append((found, mounts[-1].at, depth + 1))
            except KnarrError as error:
                failures.append(failure_of(error))
                if room < 0:
                    return Needs(failures=tuple(failures))
    return Needs(mounts=tuple(mounts), reads_lock=reads_lock, failures=tuple(dict.fromkeys(failures)))


def _dependencies(source: Source, path: str, described: _Described) -> tuple[Mapping[str, str], ...]:
    value = _description(source, path, described)
    if not isinstance(value.get("name"), str):
        raise Rejected("KNR2408", "Chart.yaml names no chart", origin=path)
    listed = value.get("dependencies") or ()
    found = []
    for item in listed if isinstance(listed, list) else ():
        given: Mapping[str, Any] = item if isinstance(item, dict) else {}
        entry = {key: str(given.get(key) or "") for key in ("name", "repository", "version")}
        if _NAME.fullmatch(entry["name"]) is None:
            raise Rejected("KNR2408", f"a dependency has no usable name: {entry['name'][:60]!r}", origin=path)
        found.append(entry)
    return tuple(found)


def _description(source: Source, path: str, described: _Described) -> Mapping[str, Any]:
    """What Chart.yaml says; read once."""
    if path not in described:
        described[path] = _read(source, path)
    return described[path]


def _read(source: Source, path: str) -> Mapping[str, Any]:
    file = source.tree.file(path)
    if file is None:
        raise Rejected("KNR2408", f"{path} does not exist", origin=path)
    documents = read_documents(content_of(file, source.contents, source.limits.document_bytes), path, source.limits)
    value = documents[0].value if documents else None
    return value if isinstance(value, dict) else {}


def _is_vendored(
    source: Source, folder: str, inside: Iterable[str], dependency: Mapping[str, str], described: _Described
) -> bool:
    """Whether charts/ holds it: as a folder, or packed. KNR2408 when all that it holds is of another version."""
    name, wanted = dependency["name"], dependency["version"]
    there = vendored(name, inside)[:_VERSIONS]
    if not there or not wanted or range_of(wanted) is None:
        return bool(there)
    place = join(folder, "charts")
    versions = [packed_version(entry, name) or _version(source, join(place, entry), described) for entry in there]
    if any(version_of(v) is None or satisfies(v, wanted) for v in versions):
        return True
    held = ", ".join(versions)[:100]
    message = f"charts/ holds {name} {held}, but Chart.yaml wants {wanted[:60]!r}: Helm would leave it out"
    raise Rejected("KNR2408", message, origin=join(folder, CHART_FILE))


def _version(source: Source, folder: str, described: _Described) -> str:
    value = _description(source, join(folder, CHART_FILE), described).get("version")
    return str(value)[:200] if value is not None else ""


def _beside(source: Source, folder: str, dependency: Mapping[str, str], described: _Described) -> str:
    """The folder that file:// names. Raises Rejected."""
    origin = join(folder, CHART_FILE)
    found = resolve(folder, dependency["repository"].removeprefix(_FILE), "repository", origin)
    if found == folder or folder.startswith(f"{found}/") or not found:
        raise Rejected("KNR2408", f"the dependency {dependency['name']!r} holds the chart itself", origin=origin)
    version, wanted = _version(source, found, described), dependency["version"]
    if wanted and range_of(wanted) is not None and version_of(version) is not None and not satisfies(version, wanted):
        message = f"{found} holds {dependency['name']} {version[:60]}, but Chart.yaml wants {wanted[:60]!r}"
        raise Rejected("KNR2408", message, origin=origin)
    return found


def _locked(source: Source, path: str, dependency: Mapping[str, str]) -> str:
    """The folder of the snapshot that the lock names. Raises Rejected."""
    name, repository = dependency["name"], dependency["repository"]
    if not repository.startswith(("https://", "http://", "oci://")):
        shown = without_credentials(repository) if is_remote(repository) else repository
        said = f"its repository {shown[:120]!r} is no address" if repository else "Chart.yaml gives it no repository"
        raise Rejected("KNR2408", f"the dependency {name!r} is not in charts/, and {said}", origin=path)
    reference = dependency_of(source.tree, source.contents, path, name, repository, dependency["version"] or "*")
    found = locked_folder(source.tree, source.contents, reference, path)
    if isinstance(found, Failure):
        raise Rejected(found.code, found.message, origin=path)
    return found


def _free(name: str, charts: str, inside: Iterable[str], mounts: Iterable[Mount]) -> str:
    """A place in charts/ that nothing else has: aliases may bring one chart twice, in two versions."""
    taken = {mount.at for mount in mounts} | {join(charts, entry) for entry in inside}
    names = chain((name,), (f"{name}-{n}" for n in count(2)))
    return next(at for n in names if (at := join(charts, n)) not in taken)
