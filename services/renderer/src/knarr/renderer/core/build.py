"""Raw objects and one set of variable values to a finished bundle: the last pure step before sealing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.bundle.bounds import UNBOUNDED, Bounds
from knarr.bundle.canonical import id_of
from knarr.bundle.packing import make_bundle, pack
from knarr.pipeline.digest import sha256
from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import AppName
from knarr.pipeline.revision import Index, OriginEntry
from knarr.renderer.core.bounds import bounds_faults
from knarr.renderer.core.crds import crds_in
from knarr.renderer.core.documents import App
from knarr.renderer.core.header import header_of
from knarr.renderer.core.index import index_of
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.normalise import Found, normalise
from knarr.renderer.core.raw import Raw
from knarr.renderer.core.scalars import Scalar
from knarr.renderer.core.validate import Crds, validate
from knarr.renderer.core.variables import exempt, substitute


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A bundle's plain bytes with what is known of them; or failures, and then no bytes."""

    plain: bytes = b""
    index: Index = field(default_factory=Index)
    origins: tuple[OriginEntry, ...] = ()
    failures: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an app's objects are checked against: CRDs, limits, the clusters' version, the source's bounds."""

    crds: Crds
    limits: Limits
    kubernetes_version: str = ""
    bounds: Bounds = UNBOUNDED


def build(name: AppName, app: App, raw: Raw, values: Mapping[str, Scalar], around: Surroundings) -> Built:
    """The bundle of `app` for clusters that share `values`."""
    failures = list(raw.failures)
    found, missing = _substituted(app, raw, values)
    failures.extend(missing)
    scopes = {key: crd.namespaced for key, crd in around.crds.items()}
    scopes.update({(crd.group, crd.kind): crd.namespaced for crd in crds_in(f.manifest for f in found)})
    normal = normalise(found, app.namespace, scopes, around.limits)
    failures.extend(normal.failures)
    origins = dict(normal.origins)
    checked = validate(normal.objects, origins, app, around.kubernetes_version, around.crds)
    failures.extend(checked.failures)
    failures.extend(bounds_faults(normal.objects, origins, around.bounds))
    if failures:
        return Built(failures=tuple(dict.fromkeys(failures)), warnings=checked.warnings)
    try:
        bundle = make_bundle(header_of(name, app, around.bounds), normal.objects)
        plain = pack(bundle)
    except KnarrError as error:
        return Built(failures=(failure_of(error),))
    return Built(
        plain=plain,
        index=index_of(sha256(plain), bundle.objects),
        origins=tuple(OriginEntry(object_id=i, origin=o) for i, o in normal.origins),
        warnings=checked.warnings,
    )


def _substituted(app: App, raw: Raw, values: Mapping[str, Scalar]) -> tuple[list[Found], list[Failure]]:
    if app.variables is None or not raw.names:
        return list(raw.found), []
    found: list[Found] = []
    failures: list[Failure] = []
    for item in raw.found:
        if exempt(item.manifest):
            found.append(item)
            continue
        done = substitute(item.manifest, values, item.origin, id_of(item.manifest))
        failures.extend(done.failures)
        found.append(Found(manifest=done.value, origin=item.origin))
    return found, failures
