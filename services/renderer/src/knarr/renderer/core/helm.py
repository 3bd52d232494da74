"""What a Helm chart reads: its folder, its values, and of the cluster only what its templates ask for.

Values are layered as Helm does: the app's files, the app's values, the target's files, the target's values. Variables
are substituted in the values of knarr.yaml only. Nothing is fetched: what a chart depends on lies in its charts/, in
the same source (file://), or among the charts that the fetcher has brought with the commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from knarr.pipeline.errors import KnarrError, Rejected, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.subcharts import ARCHIVES
from knarr.renderer.core.documents import App, Cluster, Target
from knarr.renderer.core.failures import failure
from knarr.renderer.core.helm_needs import CHART_FILE, Needs, Source, needs_of
from knarr.renderer.core.layout import Mount, mounted
from knarr.renderer.core.paths import resolve
from knarr.renderer.core.tree import File, Tree, content_of, join
from knarr.renderer.core.variables import references, substitute, values_for

_CAPABILITIES = re.compile(rb"\bCapabilities\b|\bkubeVersion\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is known of a chart before it is rendered."""

    values_files: tuple[File, ...] = ()
    mounts: tuple[Mount, ...] = ()
    reads_lock: bool = False
    reads_capabilities: bool = False
    failures: tuple[Failure, ...] = ()


def chart_of(source: Source, folder: str, app_folder: str, app: App, target: Target) -> Chart:
    """The chart in `folder`, whose values files are named relative to `app_folder`."""
    failures: list[Failure] = []
    needs = Needs()
    if source.tree.file(join(folder, CHART_FILE)) is None:
        failures.append(failure("KNR2408", f"{folder or '.'} has no {CHART_FILE}", origin=app.origin))
    else:
        needs = needs_of(source, folder)
        failures.extend(needs.failures)
    files: list[File] = []
    for name in (*app.helm.values_files, *target.values_files):
        try:
            files.append(_values_file(source.tree, app_folder, name, target.origin or app.origin))
        except KnarrError as error:
            failures.append(failure_of(error))
    seen = (*source.tree.under(folder), *(f for mount in needs.mounts for f in mounted(source.tree, mount)))
    return Chart(
        values_files=tuple(files),
        mounts=needs.mounts,
        reads_lock=needs.reads_lock,
        reads_capabilities=any(_reads_capabilities(source, f) for f in seen),
        failures=tuple(failures),
    )


def options_for(name: str, chart: Chart, app: App, target: Target, cluster: Cluster) -> dict[str, Any] | list[Failure]:
    """The options of the run for `cluster`; or failures, for variables without a value."""
    values = _merged(app.helm.values, target.values)
    if app.variables is not None:
        names = references(values)
        done = substitute(values, values_for(names, app, target, cluster), target.origin or app.origin)
        if done.failures:
            return list(done.failures)
        values = done.value
    options: dict[str, Any] = {
        "release": app.helm.release_name or name,
        "namespace": app.namespace or "default",
        "include_crds": app.helm.include_crds,
        "values_files": [file.path for file in chart.values_files],
        "values": values,
    }
    if chart.reads_capabilities:
        options["kube_version"] = f"v{cluster.kubernetes_version}" if cluster.kubernetes_version else ""
        options["api_versions"] = sorted(_api_versions(cluster.capabilities or ()))
    return options


def _values_file(tree: Tree, folder: str, name: str, origin: str) -> File:
    path = resolve(folder, name, "valuesFiles", origin)
    file = tree.file(path)
    if file is None:
        raise Rejected("KNR2305", f"valuesFiles: {name!r} does not exist", origin=origin)
    return file


def _reads_capabilities(source: Source, file: File) -> bool:
    if file.path.endswith(ARCHIVES):
        return True  # a packed subchart is not looked into here
    if "/templates/" not in file.path and not file.path.endswith(CHART_FILE):
        return False
    try:
        return _CAPABILITIES.search(content_of(file, source.contents, source.limits.file_bytes)) is not None
    except Rejected:
        return False  # the layout says why


def _api_versions(capabilities: Iterable[str]) -> set[str]:
    """Helm asks for `group/version` and for `group/version/Kind`."""
    return {v for c in capabilities for v in (c, c.rpartition("/")[0]) if v}


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
