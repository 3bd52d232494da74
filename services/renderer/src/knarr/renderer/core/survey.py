"""All sources at one moment: the fleet, every app that is found, and who holds each name.

A value that the flow renders from, and `vet` and `diff` read on a laptop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from knarr.pipeline.chart_lock import RESERVED_FOLDER
from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import FLEET_SOURCE, AppName, SourceName
from knarr.pipeline.revision import RevisionRendered
from knarr.renderer.core.claims import settle
from knarr.renderer.core.discover import FoundApp, Where, app_folders
from knarr.renderer.core.documents import APP_FILE, Fleet
from knarr.renderer.core.failures import failure
from knarr.renderer.core.fleet import FleetView
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.spec import Ground
from knarr.renderer.core.tree import Contents, Tree

ReadApp = Callable[[Ground, str, SourceName], FoundApp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Grounds of the readable sources, and the holders of all names."""

    fleet: FleetView
    grounds: Mapping[SourceName, Ground] = field(default_factory=dict)
    apps: Mapping[AppName, FoundApp] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()


def survey(
    fleet: FleetView,
    trees: Mapping[SourceName, tuple[Tree, Contents]],
    published: Mapping[AppName, RevisionRendered],
    read: ReadApp,
    limits: Limits,
) -> Survey:
    """Every app of every source that the fleet names and whose tree could be read."""
    if fleet.fleet is None:
        return Survey(fleet=fleet)
    failures: list[Failure] = []
    grounds: dict[SourceName, Ground] = {}
    found: list[FoundApp] = []
    for where in places(fleet.fleet, trees):
        tree, contents = trees[where.source]
        folders = _folders(tree, where, failures)
        ground = Ground(tree=tree, contents=contents, app_folders=frozenset(folders), limits=limits)
        grounds[where.source] = ground
        found.extend(read(ground, folder, where.source) for folder in folders)
    claims = settle(found, published)
    failures.extend((*claims.failures, *_unknown_dependencies(claims.holders)))
    return Survey(fleet=fleet, grounds=grounds, apps=claims.holders, failures=tuple(failures))


def places(fleet: Fleet, trees: Mapping[SourceName, tuple[Tree, Contents]]) -> tuple[Where, ...]:
    """Where the apps are, for every source that is there."""
    places_named = [Where(source=s.name, apps=s.apps, path=s.path) for s in fleet.sources if s.name in trees]
    if FLEET_SOURCE not in trees:
        return tuple(places_named)
    tree = trees[FLEET_SOURCE][0]
    own = (path for path in tree.files if not path.startswith(f"{RESERVED_FOLDER}/"))
    has_app_files = any(path.rpartition("/")[2] == APP_FILE for path in own)
    simplest = not fleet.apps and not fleet.sources and not has_app_files
    return (Where(source=FLEET_SOURCE, apps=fleet.apps, simplest=simplest), *places_named)


def _folders(tree: Tree, where: Where, failures: list[Failure]) -> tuple[str, ...]:
    try:
        folders = app_folders(tree, where)
    except KnarrError as error:
        failures.append(failure_of(error))
        return ()
    if where.path and not folders:
        message = f"source {where.source!r}: the folder {where.path!r} does not exist"
        failures.append(failure("KNR2101", message, origin=str(where.source)))
    return folders


def _unknown_dependencies(apps: Mapping[AppName, FoundApp]) -> Iterable[Failure]:
    for found in apps.values():
        for name in found.app.depends_on if found.app else ():
            if name not in apps:
                message = f"{found.name} depends on {name!r}, which no source holds"
                yield failure("KNR2104", message, origin=found.app.origin if found.app else "")
