"""Which folders of a source are apps, and what each one's knarr.yaml says.

The rule, in this order: the folder that `path` names; the folders that the glob `apps` matches; the folders with a
knarr.yaml. A fleet repository that has no knarr.yaml, no `apps` and no `sources` is the simplest fleet: every top-level
folder that holds YAML, JSON or jsonnet is an app, but `clusters`, `rollouts` and hidden ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from knarr.pipeline.chart_lock import RESERVED_FOLDER
from knarr.pipeline.errors import KnarrError, Rejected, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import AppName, SourceName, is_dns_label
from knarr.renderer.core.documents import APP_FILE, CLUSTERS_FOLDER, POLICIES_FOLDER, App
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.parse import parse
from knarr.renderer.core.paths import resolve
from knarr.renderer.core.tree import Contents, Tree, content_of, join
from knarr.renderer.core.yaml_kubectl import read_documents

_MANIFESTS = (".yaml", ".yml", ".json", ".jsonnet")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundApp:
    """A folder that is an app. `app` is None when its knarr.yaml is wrong; `failures` then says how."""

    name: AppName
    source: SourceName
    folder: str
    app: App | None = None
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """How a source says where its apps are."""

    source: SourceName
    apps: str = ""
    path: str = ""
    simplest: bool = False


def app_folders(tree: Tree, where: Where) -> tuple[str, ...]:
    """The folders that are apps, by the rule above."""
    if where.path:
        folder = resolve("", where.path, "path", str(where.source))
        return (folder,) if tree.is_folder(folder) else ()
    if where.apps:
        glob = _glob(where.apps)
        return tuple(sorted(f for f in tree.folders() if f and glob.fullmatch(f) and not _is_of_a_chart(f)))
    named = sorted(
        p.rpartition("/")[0] for p in tree.files if p.rpartition("/")[2] == APP_FILE and not _is_of_a_chart(p)
    )
    if named or not where.simplest:
        return tuple(named)
    hidden_or_ours = (CLUSTERS_FOLDER, POLICIES_FOLDER)
    return tuple(
        name
        for name in tree.names("")
        if tree.is_folder(name)
        and not name.startswith(".")
        and name not in hidden_or_ours
        and any(f.path.endswith(_MANIFESTS) for f in tree.under(name))
    )


def _is_of_a_chart(path: str) -> bool:
    """Charts of repositories are strangers' files: none of them is an app."""
    return path == RESERVED_FOLDER or path.startswith(RESERVED_FOLDER + "/")


def detect(tree: Tree, folder: str) -> str:
    """Which renderer a folder without `renderer:` means."""
    names = set(tree.names(folder))
    if names & set(_KUSTOMIZATIONS):
        return "kustomize"
    if "Chart.yaml" in names:
        return "helm"
    return "jsonnet" if "main.jsonnet" in names else "plain"


def read_app(tree: Tree, folder: str, source: SourceName, contents: Contents, limits: Limits) -> FoundApp:
    """The app in `folder`. Its name may still clash with another folder's: claims.py."""
    default = folder.rpartition("/")[2] or str(source)
    path = join(folder, APP_FILE)
    file = tree.file(path)
    if file is None:
        return _named(FoundApp(name=AppName(default), source=source, folder=folder, app=App(origin=folder or ".")))
    try:
        data = content_of(file, contents, limits.document_bytes)
    except Rejected as error:
        return FoundApp(name=AppName(default), source=source, folder=folder, failures=(failure_of(error),))
    parsed = parse(data, path, ("App",), limits)
    failures = list(parsed.failures)
    if len(parsed.documents) > 1:
        failures.append(failure("KNR2014", f"{path} holds {len(parsed.documents)} apps; one is allowed", origin=path))
    app = parsed.documents[0] if parsed.documents else None
    if failures or not isinstance(app, App):
        name = AppName(_name_despite(data, path, limits) or default)
        return FoundApp(name=name, source=source, folder=folder, failures=tuple(failures))
    return _named(FoundApp(name=AppName(app.name or default), source=source, folder=folder, app=app))


def _named(found: FoundApp) -> FoundApp:
    if is_dns_label(found.name):
        return found
    message = f"{found.name[:80]!r} cannot be an app's name: set `name` in {APP_FILE} or rename the folder"
    wrong = failure("KNR2017", message, origin=found.folder)
    return FoundApp(name=found.name, source=found.source, folder=found.folder, failures=(wrong,))


def _name_despite(data: bytes, path: str, limits: Limits) -> str:
    """The name in a knarr.yaml that is otherwise wrong, so that the failure meets the app it belongs to."""
    try:
        documents = read_documents(data, path, limits)
    except KnarrError:
        return ""
    value = documents[0].value if documents else None
    name = value.get("name") if isinstance(value, dict) else None
    return name if isinstance(name, str) and is_dns_label(name) else ""


def _glob(pattern: str) -> re.Pattern[str]:
    """`*` and `?` within a path segment, `**` across them."""
    out = ""
    for piece in re.split(r"(\*\*/?|\*|\?)", pattern.strip("/")):
        out += {"**/": r"(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
    return re.compile(out)
