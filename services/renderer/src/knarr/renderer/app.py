"""One app becomes variants: each distinct input is rendered once, each distinct bundle published once.

Called by the flow for every app of a commit, and by `vet`, `render` and `diff` on a laptop with other adapters.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from knarr.bundle.bounds import UNBOUNDED
from knarr.bundle.canonical import canonical_json
from knarr.bundle.header import header_to_json
from knarr.pipeline.codec import decode, encode
from knarr.pipeline.digest import digest_of, sha256
from knarr.pipeline.errors import KnarrError, Rejected, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import AppName, ClusterName
from knarr.pipeline.revision import Index, RolloutOptions, Variant
from knarr.renderer.core.bounds import app_faults, outside
from knarr.renderer.core.build import Built, Surroundings, build
from knarr.renderer.core.discover import FoundApp
from knarr.renderer.core.documents import App, Cluster
from knarr.renderer.core.failures import failure
from knarr.renderer.core.fleet import FleetView
from knarr.renderer.core.header import header_of
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.matrix import ClusterIndex, Clusters, Placement, group, place
from knarr.renderer.core.raw import Raw
from knarr.renderer.core.revision import options_of
from knarr.renderer.core.scalars import Scalar
from knarr.renderer.core.spec import Ground, Spec, specs_of
from knarr.renderer.core.validate import Crds
from knarr.renderer.core.variables import values_for
from knarr.renderer.memory import Remembered
from knarr.renderer.ports import Bundles, Cache
from knarr.renderer.raws import Raws

_FORMAT = b"knarr/variant/v2"
_THREAD_FROM_OBJECTS = 200
_SUBSTITUTED = ("plain", "kustomize")  # the others take variables as their own inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetContext:
    """What all apps of a commit share."""

    view: FleetView
    index: ClusterIndex
    crds: Crds
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An app's variants, and its failures. `failing`: the clusters that a failure keeps from a new bundle.

    Without a variant nothing rendered, and no revision may be made of it.
    """

    variants: tuple[Variant, ...] = ()
    indexes: tuple[Index, ...] = ()
    options: RolloutOptions = field(default_factory=RolloutOptions)
    failures: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()
    clusters: tuple[str, ...] = ()
    clusters_known: bool = False
    failing: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    variant: Variant
    index: Index
    warnings: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unmade:
    """Clusters that get no new bundle, and why."""

    clusters: Clusters
    failures: tuple[Failure, ...]


_Specs = tuple[tuple[tuple[Clusters, Spec], ...], tuple[tuple[str, bytes], ...]]


class AppRenderer:
    """Renders apps; remembers by content. Safe for concurrent use within one event loop."""

    def __init__(self, raws: Raws, bundles: Bundles, cache: Cache, limits: Limits) -> None:
        self._raws, self._bundles, self._cache, self._limits = raws, bundles, cache, limits
        self._specs: Remembered[tuple[Any, ...], _Specs] = Remembered(65_536)
        self._reads: Remembered[tuple[str, str], tuple[str, ...]] = Remembered(65_536)

    async def render(self, found: FoundApp, ground: Ground, fleet: FleetContext) -> Finished:
        """Every variant of the app. Raises Retryable only."""
        if found.app is None or fleet.view.fleet is None:
            return Finished(failures=found.failures)
        app = found.app
        bounds = fleet.view.fleet.bounds_of(found.source)
        matrix = place(app, fleet.index, fleet.view.fleet.groups, bounds)
        refused = (*_unbuilt(app), *app_faults(app, bounds.objects))
        if matrix.failures:
            return Finished(failures=(*matrix.failures, *refused))
        unmade = [_Unmade(clusters=p.clusters, failures=refused) for p in matrix.placements if refused]
        unmade += [
            _Unmade(clusters=p.clusters, failures=(outside(found.source, p.clusters, p.target.origin),))
            for p in matrix.outside
        ]
        made: list[_Made] = []
        for placement in matrix.placements:
            done, wrong = await self._placed(found, app, placement, ground, fleet)
            made.extend(done)
            unmade.extend(wrong)
        failing = frozenset(c.name for u in unmade for c in u.clusters)
        variants = _merged([variant for m in made if (variant := _without(m.variant, failing)) is not None])
        digests = {v.bundle.digest for v in variants if v.bundle}
        return Finished(
            variants=variants,
            indexes=tuple({m.index.digest: m.index for m in made if m.index.digest in digests}.values()),
            options=options_of(app),
            failures=tuple(dict.fromkeys((*refused, *(f for u in unmade for f in u.failures)))),
            warnings=tuple(dict.fromkeys(w for m in made for w in m.warnings)),
            clusters=tuple([c.name for p in (*matrix.placements, *matrix.outside) for c in p.clusters]),
            clusters_known=True,
            failing=tuple(sorted(failing)),
            unmatched=tuple([c.name for c in matrix.unmatched]),
        )

    async def _placed(
        self, found: FoundApp, app: App, placement: Placement, ground: Ground, fleet: FleetContext
    ) -> tuple[list[_Made], list[_Unmade]]:
        made: list[_Made] = []
        unmade: list[_Unmade] = []
        for clusters, spec in self._specs_of(found, app, placement, ground, fleet):
            shared = replace(placement, clusters=clusters)
            done, wrong = await self._run(found, app, shared, spec, ground, fleet)
            made.extend(done)
            unmade.extend(wrong)
        return made, unmade

    async def _run(
        self, found: FoundApp, app: App, placement: Placement, spec: Spec, ground: Ground, fleet: FleetContext
    ) -> tuple[list[_Made], list[_Unmade]]:
        if spec.failures:
            return [], [_Unmade(clusters=placement.clusters, failures=spec.failures)]
        raw = await self._raws.raw(spec, ground.contents, (found.source, found.folder))
        if raw.failures:
            return [], [_Unmade(clusters=placement.clusters, failures=raw.failures)]
        if spec.renderer not in _SUBSTITUTED:
            raw = replace(raw, names=frozenset())
        made: list[_Made] = []
        unmade: list[_Unmade] = []
        bounds = fleet.view.fleet.bounds_of(found.source).objects if fleet.view.fleet else UNBOUNDED
        if forgotten := _forgotten_variables(app, raw, placement):
            unmade.append(_Unmade(clusters=placement.clusters, failures=tuple(forgotten)))
        for clusters, values in _variants(app, raw, placement):
            around = Surroundings(
                crds={key: fleet.crds[key] for key in raw.kinds if key in fleet.crds},
                limits=self._limits,
                kubernetes_version=_minor(clusters[0].kubernetes_version),
                bounds=bounds,
            )
            try:
                made.append(await self._variant(found.name, app, spec, raw, clusters, values, around))
            except Rejected as error:
                unmade.append(_Unmade(clusters=clusters, failures=(failure_of(error),)))
            except _Refused as refused:
                unmade.append(_Unmade(clusters=clusters, failures=refused.failures))
        return made, unmade

    async def _variant(
        self,
        name: AppName,
        app: App,
        spec: Spec,
        raw: Raw,
        clusters: Clusters,
        values: Mapping[str, Scalar],
        around: Surroundings,
    ) -> _Made:
        key = self._variant_key(name, app, spec, values, around)
        built = _from_cache(self._cache.get(key))
        if built is None:
            if len(raw.found) < _THREAD_FROM_OBJECTS:
                built = build(name, app, raw, values, around)
            else:  # one app's many objects must not keep the others' commits waiting
                built = await asyncio.to_thread(build, name, app, raw, values, around)
            if built.failures:
                raise _Refused(built.failures)
            self._cache.put(key, _to_cache(built))
        ref = await self._bundles.publish(built.plain, len(built.index.objects))
        names = tuple(sorted([c.name for c in clusters]))
        variant = Variant(bundle=ref, clusters=names, origins=built.origins)
        return _Made(variant=variant, index=built.index, warnings=built.warnings)

    def _variant_key(
        self, name: AppName, app: App, spec: Spec, values: Mapping[str, Scalar], around: Surroundings
    ) -> bytes:
        """Everything that `build` reads."""
        options = {
            "app": name,
            "header": header_to_json(header_of(name, app, around.bounds)),
            "substitute": app.variables is not None,
            "plaintext": app.allow_plaintext_secrets,
            "unknown": app.allow_unknown_kinds,
            "values": dict(values),
            "kubernetes": around.kubernetes_version,
            "crds": sorted([*key, crd.digest.hex()] for key, crd in around.crds.items()),
        }
        return digest_of((_FORMAT, self._raws.key(spec), canonical_json(options)))

    def reads(self, found: FoundApp) -> tuple[str, ...]:
        """The folders outside its own that the app's last rendering read."""
        return self._reads.get((found.source, found.folder)) or ()

    def _specs_of(
        self, found: FoundApp, app: App, placement: Placement, ground: Ground, fleet: FleetContext
    ) -> tuple[tuple[Clusters, Spec], ...]:
        """The runs of a placement; worked out again only when a folder that they read, or the fleet, has changed."""
        target = placement.target
        options = canonical_json([target.overlay, target.values, list(target.values_files)])
        key = (found.source, found.folder, app.path, app.renderer, placement.index, options, fleet.digest)
        known = self._specs.get(key)
        if known is not None and all(ground.tree.digest(folder) == digest for folder, digest in known[1]):
            return known[0]
        specs = specs_of(found, app, placement, ground)
        folders = tuple(dict.fromkeys((found.folder, *(folder for _, spec in specs for folder in spec.folders))))
        self._remember_folders(found, folders)
        if not any(spec.failures for _, spec in specs):
            self._specs.put(key, (specs, tuple((folder, ground.tree.digest(folder)) for folder in folders)))
        return specs

    def _remember_folders(self, found: FoundApp, folders: tuple[str, ...]) -> None:
        place = (found.source, found.folder)
        self._reads.put(place, tuple(sorted({*(self._reads.get(place) or ()), *folders})))


class _Refused(Exception):
    """A variant that cannot be built; stays inside this module."""

    def __init__(self, failures: tuple[Failure, ...]) -> None:
        super().__init__("refused")
        self.failures = failures


def _variants(app: App, raw: Raw, placement: Placement) -> list[tuple[Clusters, dict[str, Scalar]]]:
    """Clusters that agree in everything that the app reads of them, with the values they share."""
    names = sorted(raw.names) if app.variables is not None else []
    if not names and len({c.kubernetes_version for c in placement.clusters}) == 1:
        return [(placement.clusters, {})]  # the ordinary case of a wide fleet: nothing to tell apart

    def reads(cluster: Cluster) -> tuple[Any, ...]:
        values = values_for(names, app, placement.target, cluster) if names else {}
        typed = tuple((type(values.get(n)).__name__, values.get(n)) for n in names)
        return (_minor(cluster.kubernetes_version), typed)

    groups = group(placement.clusters, reads)
    return [(members, values_for(names, app, placement.target, members[0])) for members in groups]


def _forgotten_variables(app: App, raw: Raw, placement: Placement) -> list[Failure]:
    """An app without `variables` that refers to one of its clusters' variables has most likely forgotten to say so."""
    if app.variables is not None:
        return []
    meant = sorted(n for n in raw.names if any(n in c.variables for c in placement.clusters))
    if not meant:
        return []
    message = f"${{{meant[0]}}} is a variable of the clusters, but knarr.yaml declares no `variables`"
    return [failure("KNR2203", message, origin=app.origin)]


def _unbuilt(app: App) -> list[Failure]:
    """What would be obeyed by nobody is refused rather than passed over."""
    return [
        failure(
            "KNR2021",
            f"`{key}` is not built yet: every change goes to all clusters at once; remove it",
            origin=app.origin,
        )
        for key in app.unbuilt
    ]


def _without(variant: Variant, failing: frozenset[ClusterName]) -> Variant | None:
    """The variant for those of its clusters that nothing fails for; None when there are none."""
    if not failing:
        return variant
    kept = tuple(c for c in variant.clusters if c not in failing)
    return replace(variant, clusters=kept) if kept else None


def _merged(variants: list[Variant]) -> tuple[Variant, ...]:
    """Targets may differ and still give the same bundle: such clusters share one variant."""
    by_digest: dict[bytes, Variant] = {}
    for found in variants:
        variant = found
        digest = variant.bundle.digest if variant.bundle else b""
        other = by_digest.get(digest)
        if other is not None:
            variant = replace(variant, clusters=tuple(sorted((*variant.clusters, *other.clusters))))
        by_digest[digest] = variant
    return tuple(by_digest.values())


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _to_cache(built: Built) -> bytes:
    head = orjson.dumps(
        {
            "index": encode(built.index).hex(),
            "origins": encode(Variant(origins=built.origins)).hex(),
            "warnings": [encode(w).hex() for w in built.warnings],
        }
    )
    return len(head).to_bytes(8, "big") + head + built.plain


def _from_cache(data: bytes | None) -> Built | None:
    if data is None:
        return None
    size = int.from_bytes(data[:8], "big")
    try:
        head = orjson.loads(data[8 : 8 + size])
        index = decode(Index, bytes.fromhex(head["index"]))
        built = Built(
            plain=data[8 + size :],
            index=index,
            origins=decode(Variant, bytes.fromhex(head["origins"])).origins,
            warnings=tuple(decode(Failure, bytes.fromhex(w)) for w in head["warnings"]),
        )
    except (ValueError, KeyError, KnarrError):
        return None
    return built if built.index.digest == sha256(built.plain) else None
