"""Who holds an app's name when two folders claim it: the holder stays, the second claimant is refused (KNR2018)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from knarr.pipeline.failure import Failure
from knarr.pipeline.names import FLEET_SOURCE, AppName
from knarr.pipeline.revision import RevisionRendered
from knarr.renderer.core.discover import FoundApp
from knarr.renderer.core.failures import failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Every name with its holder, and the refusals of the others."""

    holders: Mapping[AppName, FoundApp]
    failures: tuple[Failure, ...] = ()


def settle(found: Iterable[FoundApp], published: Mapping[AppName, RevisionRendered]) -> Claims:
    """The holder of a name is who was published with it; else the fleet's own folder; else the first by path."""
    by_name: dict[AppName, list[FoundApp]] = {}
    for app in found:
        by_name.setdefault(app.name, []).append(app)
    holders: dict[AppName, FoundApp] = {}
    failures: list[Failure] = []
    for name, claimants in by_name.items():
        ranked = sorted(claimants, key=lambda a: _rank(a, published.get(name)))
        holders[name] = ranked[0]
        failures.extend(_refusal(second, ranked[0]) for second in ranked[1:])
    return Claims(holders=holders, failures=tuple(failures))


def _rank(app: FoundApp, published: RevisionRendered | None) -> tuple[bool, bool, str, str]:
    source = published.commit.source if published and published.commit else ""
    holds = published is not None and (source, published.path) == (app.source, app.folder)
    return (not holds, app.source != FLEET_SOURCE, app.source, app.folder)


def _refusal(second: FoundApp, holder: FoundApp) -> Failure:
    message = f"{second.source}:{second.folder} and {holder.source}:{holder.folder} are both named {second.name!r}"
    return failure("KNR2018", f"{message}; the latter keeps the name", origin=f"{second.folder}/knarr.yaml")
