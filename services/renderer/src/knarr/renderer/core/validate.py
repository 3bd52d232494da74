"""Checks on normalised objects before anything leaves the renderer. Every fault of every object is reported.

Kinds and fields by the schemas of the clusters' Kubernetes version and by the CRDs that the fleet holds; removed APIs;
Secrets. What only a server can know (admission, quota) is the agent's to report.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from knarr.bundle.canonical import Object, group_of, id_of, is_protected
from knarr.bundle.hooks import is_hook
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import ObjectId
from knarr.renderer.core import kubernetes_schemas
from knarr.renderer.core.annotations import annotation_faults
from knarr.renderer.core.crds import Crd, crd_validator, crds_in
from knarr.renderer.core.deviations import deviation
from knarr.renderer.core.documents import App
from knarr.renderer.core.failures import failure
from knarr.renderer.core.secrets import secret_faults

Crds = Mapping[tuple[str, str], Crd]
_FAULTS_PER_OBJECT = 20
_CHECKED_BEFORE = (["metadata", "labels"], ["metadata", "annotations"])  # by normalise.py, for every kind
# Served before the oldest version whose schemas are known.
_LONG_GONE = frozenset(
    {
        "extensions/v1beta1",
        "apps/v1beta1",
        "apps/v1beta2",
        "batch/v1beta1",
        "batch/v2alpha1",
        "policy/v1beta1",
        "autoscaling/v2beta1",
        "networking.k8s.io/v1beta1",
        "rbac.authorization.k8s.io/v1beta1",
        "rbac.authorization.k8s.io/v1alpha1",
        "admissionregistration.k8s.io/v1beta1",
        "apiextensions.k8s.io/v1beta1",
        "apiregistration.k8s.io/v1beta1",
        "certificates.k8s.io/v1beta1",
        "coordination.k8s.io/v1beta1",
        "discovery.k8s.io/v1beta1",
        "events.k8s.io/v1beta1",
        "node.k8s.io/v1beta1",
        "scheduling.k8s.io/v1beta1",
        "storage.k8s.io/v1beta1",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What stands in the way, and what only deserves a word."""

    failures: tuple[Failure, ...] = ()
    warnings: tuple[Failure, ...] = ()


def validate(
    objects: Iterable[Object], origins: Mapping[ObjectId, str], app: App, kubernetes_version: str, crds: Crds
) -> Checked:
    """The faults of `objects` for clusters of `kubernetes_version` (as 1.36; empty: unknown, the newest counts)."""
    listed = list(objects)
    known = {**crds, **{(c.group, c.kind): c for c in crds_in(listed)}}
    failures: list[Failure] = []
    warnings: list[Failure] = []
    for manifest in listed:
        identity = id_of(manifest)
        origin = origins.get(identity, "")
        failures.extend(secret_faults(manifest, origin, allow_plaintext=app.allow_plaintext_secrets))
        failures.extend(
            failure("KNR2515", message, object_id=identity, origin=origin) for message in annotation_faults(manifest)
        )
        if is_hook(manifest) and is_protected(manifest):
            message = f"a {manifest['kind']} cannot be a hook: deleting it takes with it what cannot be brought back"
            failures.append(failure("KNR2608", message, object_id=identity, origin=origin))
        for code, message, is_warning in _kind_faults(manifest, app, kubernetes_version, known):
            found = failure(code, message, object_id=identity, origin=origin)
            (warnings if is_warning else failures).append(found)
    return Checked(failures=tuple(failures), warnings=tuple(warnings))


def _kind_faults(manifest: Object, app: App, asked: str, crds: Crds) -> Iterator[tuple[str, str, bool]]:
    """(number, message, whether it is only a warning)."""
    api, kind = str(manifest["apiVersion"]), str(manifest["kind"])
    version = kubernetes_schemas.nearest_version(asked)
    if kubernetes_schemas.serves(version, (api, kind)):
        yield from _schema_faults(manifest, kubernetes_schemas.validator(version, (api, kind)))
        return
    crd = crds.get((group_of(api), kind))
    if crd is not None:
        yield from _custom_faults(manifest, crd, api)
        return
    yield from _unserved(api, kind, version, asked, app)


def _custom_faults(manifest: Object, crd: Crd, api: str) -> Iterator[tuple[str, str, bool]]:
    served = api.rpartition("/")[2]
    if served not in crd.schemas:
        yield "KNR2511", f"the CRD of {crd.kind} serves {', '.join(crd.schemas) or 'nothing'}, not {served!r}", False
        return
    validator = crd_validator(crd, served)
    if validator is not None:
        yield from _schema_faults(manifest, validator)


def _unserved(api: str, kind: str, version: str, asked: str, app: App) -> Iterator[tuple[str, str, bool]]:
    span = kubernetes_schemas.served_since_and_until((api, kind))
    others = kubernetes_schemas.other_versions_of(version, (api, kind))
    use = f"; use {' or '.join(others)}" if others else ""
    if span is not None:
        when = f"was served last by Kubernetes {span[1]}" if _before(span[1], version) else f"came with {span[0]}"
        # An unknown version may well be one that still serves it.
        yield "KNR2509", f"{api} {kind} {when}; the cluster runs {asked or 'an unknown version'}{use}", not asked
        return
    if api in _LONG_GONE and others:
        yield "KNR2509", f"{api} {kind} is served by no supported Kubernetes{use}", False
        return
    if _is_builtin(group_of(api), version):
        near = difflib.get_close_matches(kind, kubernetes_schemas.kinds_of(version, api), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else use
        yield "KNR2511", f"Kubernetes {version} has no {kind} in {api}{hint}", False
        return
    message = f"neither Kubernetes nor a CRD in the fleet defines {api} {kind}"
    yield "KNR2511", message, app.allow_unknown_kinds


def _schema_faults(manifest: Object, validator: Any) -> Iterator[tuple[str, str, bool]]:
    body = {k: v for k, v in manifest.items() if k != "sops"}
    errors = (e for e in validator.iter_errors(body) if list(e.instance_path)[:2] not in _CHECKED_BEFORE)
    for number, error in enumerate(errors):
        if number == _FAULTS_PER_OBJECT:
            yield "KNR2510", "and more of them", False
            return
        yield "KNR2510", deviation(error), False


def _is_builtin(group: str, version: str) -> bool:
    return group in kubernetes_schemas.groups_of(version)


def _before(one: str, other: str) -> bool:
    return [int(p) for p in one.split(".")] < [int(p) for p in other.split(".")]
