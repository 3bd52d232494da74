"""What jsonnet reads: the app's folder, its libraries, and just those external variables that the text names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from knarr.pipeline.errors import KnarrError, Rejected, failure_of
from knarr.pipeline.failure import Failure
from knarr.renderer.core.documents import App, Cluster, Target
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.paths import resolve
from knarr.renderer.core.tree import Contents, Tree, content_of
from knarr.renderer.core.variables import values_for

_ENDINGS = (".jsonnet", ".libsonnet")
_IMPORT = re.compile(r"""\bimport(?:str|bin)?\s*@?("(?:[^"\\\n]|\\.){0,1024}"|'(?:[^'\\\n]|\\.){0,1024}')""")
_EXTERNAL = re.compile(r"""\bextVar\s*\(\s*(["'])([^"'\\\n]{1,400})\1""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A jsonnet program before it is evaluated. `names` are its external variables."""

    entry: str = ""
    folders: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    failures: tuple[Failure, ...] = ()


def program_of(tree: Tree, contents: Contents, limits: Limits, folder: str, app: App) -> Program:
    """The program in `folder`."""
    failures: list[Failure] = []
    places: list[str] = []
    for field, name in (("entry", app.jsonnet.entry), *(("libraries", n) for n in app.jsonnet.libraries)):
        try:
            places.append(resolve(folder, name, field, app.origin))
        except KnarrError as error:
            failures.append(failure_of(error))
            continue
        if tree.file(places[-1]) is None and not tree.is_folder(places[-1]):
            failures.append(failure("KNR2305", f"{field}: {name!r} does not exist", origin=app.origin))
    if failures:
        return Program(failures=tuple(failures))
    entry, *libraries = places
    names: set[str] = set()
    folders = (folder, *libraries)
    for file in (f for place in folders for f in tree.under(place) if f.path.endswith(_ENDINGS)):
        try:
            text = content_of(file, contents, limits.file_bytes).decode("utf-8", "replace")
        except Rejected as error:
            failures.append(failure_of(error))
            continue
        names.update(match.group(2) for match in _EXTERNAL.finditer(text))
        failures.extend(_bad_imports(text, file.path))
    return Program(
        entry=entry,
        folders=tuple(dict.fromkeys(folders)),
        libraries=tuple(libraries),
        names=frozenset(names),
        failures=tuple(failures),
    )


def options_for(program: Program, app: App, target: Target, cluster: Cluster) -> dict[str, Any] | list[Failure]:
    """The options of the run for `cluster`; or failures, for external variables without a value."""
    values = values_for(program.names, app, target, cluster)
    missing = sorted(program.names - set(values))
    if missing:
        message = "the external variable {!r} has no value; declare it in `variables`"
        return [failure("KNR2201", message.format(name), origin=program.entry) for name in missing]
    return {"entry": program.entry, "libraries": list(program.libraries), "values": values}


def _bad_imports(text: str, path: str) -> list[Failure]:
    found = []
    for match in _IMPORT.finditer(text):
        origin = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        try:
            resolve(path.rpartition("/")[0], match.group(1)[1:-1], "import", origin)
        except KnarrError as error:
            found.append(failure_of(error))
    return found
