"""YAML files to documents of knarr.dev/v1: strict, and with every mistake of a file at once.

Called by fleet.py (fleet.yaml, clusters/, rollouts/) and apps.py (knarr.yaml). Leaves references between documents
to fleet.py and matrix.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from knarr.bundle.bounds import Bounds
from knarr.bundle.canonical import canonical_json
from knarr.pipeline.chart_lock import ChartReference
from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import FLEET_SOURCE, AppName, ClusterName, SourceName
from knarr.renderer.core.documents import (
    API_VERSION,
    App,
    Cluster,
    Fleet,
    HelmOptions,
    JsonnetOptions,
    Membership,
    Source,
    SourceBounds,
    Target,
)
from knarr.renderer.core.expressions import rule_faults
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.schemas import KINDS, check, position_of
from knarr.renderer.core.selector import Operator, Requirement, Selector
from knarr.renderer.core.yaml_kubectl import Document, read_documents

AnyDocument = Fleet | Cluster | App
_UNBUILT_KEYS = ("rollout", "syncWindows")
_SHORTEST_WINDOW, _LONGEST_WINDOW = 3_600.0, 30 * 86_400.0
_HEADER_KEYS = (
    "prune",
    "deletionPolicy",
    "takeover",
    "conflicts",
    "heal",
    "recreate",
    "serviceAccount",
    "ignoreFields",
    "healthRules",
    "progressDeadline",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The documents of one file that are right, everything that is wrong with the others, and what has no effect."""

    documents: tuple[AnyDocument, ...] = ()
    failures: tuple[Failure, ...] = ()
    notices: tuple[Failure, ...] = ()


def parse(data: bytes, file: str, kinds: tuple[str, ...], limits: Limits) -> Parsed:
    """The documents in `data`, each of one of `kinds`."""
    if len(data) > limits.document_bytes:
        message = f"{len(data)} bytes; a document of knarr.dev has at most {limits.document_bytes}"
        return Parsed(failures=(failure("KNR2002", message, origin=file),))
    try:
        read = read_documents(data, file, limits, strict=True)
    except KnarrError as error:
        return Parsed(failures=(failure_of(error),))
    documents: list[AnyDocument] = []
    failures: list[Failure] = []
    notices: list[Failure] = []
    for document in read:
        if is_policy(document.value) and "RolloutPolicy" in kinds:
            notices.append(policy_notice(document.origin))
            continue
        wrong = _check(document, kinds)
        failures.extend(wrong)
        if not wrong:
            documents.append(_build(document))
    if not read:
        failures.append(failure("KNR2013", f"the file holds no document; expected {' or '.join(kinds)}", origin=file))
    return Parsed(documents=tuple(documents), failures=tuple(failures), notices=tuple(notices))


def is_policy(value: Any) -> bool:
    """Whether it means to be a RolloutPolicy."""
    return isinstance(value, dict) and value.get("kind") == "RolloutPolicy"


def policy_notice(origin: str) -> Failure:
    """A policy has no effect, so it is neither read nor passed over in silence."""
    return failure(
        "KNR2021", "RolloutPolicy is not built yet: every change goes to all clusters at once; remove it", origin=origin
    )


def seconds_of(duration: str) -> float:
    """30s, 10m, 2h, 7d in seconds."""
    return float(duration[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[duration[-1]]


def selector_of(value: Mapping[str, Any] | None) -> Selector:
    """A selector from its document form, which the schema has checked."""
    value = value or {}
    labels = [
        Requirement(key=k, operator=Operator.IN, values=frozenset({v})) for k, v in value.get("matchLabels", {}).items()
    ]
    expressions = [
        Requirement(key=e["key"], operator=Operator(e["operator"]), values=frozenset(e.get("values", ())))
        for e in value.get("matchExpressions", ())
    ]
    return Selector(requirements=tuple(sorted(labels + expressions, key=lambda r: (r.key, r.operator.value))))


def _check(document: Document, kinds: tuple[str, ...]) -> tuple[Failure, ...]:
    value = document.value
    if not isinstance(value, dict):
        return (failure("KNR2013", "the document is no mapping", origin=document.origin),)
    if value.get("apiVersion") != API_VERSION:
        message = f"apiVersion is {str(value.get('apiVersion'))[:60]!r}, but must be {API_VERSION!r}"
        return (failure("KNR2013", message, origin=document.origin),)
    kind = value.get("kind")
    if kind not in kinds:
        known = " (it belongs elsewhere)" if kind in KINDS else ""
        message = f"kind is {str(kind)[:60]!r}{known}, but must be {' or '.join(kinds)} here"
        return (failure("KNR2013", message, origin=document.origin),)
    return check(document, str(kind)) or _meaning(document)


def _meaning(document: Document) -> tuple[Failure, ...]:
    """What no schema says: operators and their values, and what a health rule asks."""
    selectors = (m for expression in _expressions(document.value) for m in _expression_faults(expression))
    return (
        *_window_faults(document),
        *(failure("KNR2019", message, origin=document.origin) for message in selectors),
        *(
            failure("KNR2020", message, origin=document.origin)
            for message in rule_faults(document.value.get("healthRules"))
        ),
    )


def _window_faults(document: Document) -> Iterator[Failure]:
    guards = document.value.get("guards")
    window = guards.get("window") if isinstance(guards, dict) else None
    if isinstance(window, str) and not _SHORTEST_WINDOW <= seconds_of(window) <= _LONGEST_WINDOW:
        message = f"guards.window is {window}, but must be between 1h and 30d"
        yield failure("KNR2011", message, origin=position_of(document, ["guards", "window"]))


def _expressions(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, list):
        return [e for item in value for e in _expressions(item)]
    if not isinstance(value, dict):
        return []
    here = value.get("matchExpressions", [])
    own = [e for e in here if isinstance(e, dict) and "operator" in e] if isinstance(here, list) else []
    return own + [e for key, v in value.items() if key not in ("matchExpressions", "values") for e in _expressions(v)]


def _expression_faults(expression: Mapping[str, Any]) -> list[str]:
    takes_values = expression["operator"] in ("In", "NotIn")
    if takes_values and not expression.get("values"):
        return [f"the selector for {expression['key']!r} needs values with {expression['operator']}"]
    if not takes_values and expression.get("values"):
        return [f"the selector for {expression['key']!r} takes no values with {expression['operator']}"]
    return []


def _build(document: Document) -> AnyDocument:
    value = document.value
    match value["kind"]:
        case "Fleet":
            return _fleet(value, document.file)
        case "Cluster":
            return Cluster(
                name=ClusterName(value["name"]),
                labels=value.get("labels", {}),
                variables=value.get("variables", {}),
                kubernetes_version=value.get("kubernetesVersion", "").lstrip("v"),
                capabilities=tuple(sorted(value["capabilities"])) if "capabilities" in value else None,
                origin=document.origin,
            )
    return app_of(value, document.origin)


def _fleet(value: Mapping[str, Any], file: str) -> Fleet:
    return Fleet(
        name=value.get("name", ""),
        apps=value.get("apps", ""),
        membership=Membership(value.get("clusters", Membership.DOCUMENTED.value)),
        bounds=_bounds(FLEET_SOURCE, value.get("bounds")),
        sources=tuple(
            Source(
                name=SourceName(s["name"]),
                url=s["url"],
                apps=s.get("apps", ""),
                path=s.get("path", ""),
                bounds=_bounds(s["name"], s.get("bounds")),
                origin=file,
            )
            for s in value.get("sources", ())
        ),
        groups={name: selector_of(s) for name, s in value.get("groups", {}).items()},
        reported_labels=frozenset(value.get("reportedLabels", ())),
        guards=canonical_json(_guards(value["guards"])) if "guards" in value else b"",
    )


def _bounds(source: str, value: Mapping[str, Any] | None) -> SourceBounds:
    """Only what is said binds: a source without `bounds` keeps its bundles as they are."""
    if not value:
        return SourceBounds()

    def words(key: str) -> tuple[str, ...] | None:
        return tuple(value[key]) if key in value else None

    objects = Bounds(
        source=source,
        namespaces=words("namespaces"),
        kinds=words("kinds"),
        # Who may touch some namespaces only was not meant to hold cluster roles.
        cluster_kinds=words("clusterKinds") if "clusterKinds" in value or "namespaces" not in value else (),
        system_namespaces=words("systemNamespaces") or (),
        adopt_namespaces=value.get("adoptNamespaces", False),
        service_account=value.get("serviceAccount", ""),
    )
    return SourceBounds(objects=objects, clusters=words("clusters"), selector=selector_of(value.get("clusterSelector")))


def _guards(value: Mapping[str, Any]) -> dict[str, Any]:
    """As rollout reads them: times in seconds."""
    plain = {key: setting for key, setting in value.items() if key != "window"}
    return {**plain, "windowSeconds": int(seconds_of(value["window"]))} if "window" in value else plain


def app_of(value: Mapping[str, Any], origin: str) -> App:
    """An App from its document form, which the schema has checked."""
    helm, jsonnet = value.get("helm", {}), value.get("jsonnet", {})
    return App(
        name=value.get("name", ""),
        renderer=value.get("renderer", ""),
        path=value.get("path", ""),
        namespace=value.get("namespace", ""),
        targets=tuple(_target(t, origin) for t in value["targets"]) if "targets" in value else (Target(),),
        variables=value.get("variables"),
        depends_on=tuple(AppName(name) for name in value.get("dependsOn", ())),
        policy={key: value[key] for key in _HEADER_KEYS if key in value},
        unbuilt=tuple(key for key in _UNBUILT_KEYS if key in value),
        allow_plaintext_secrets=value.get("allowPlaintextSecrets", False),
        allow_unknown_kinds=value.get("allowUnknownKinds", True),
        helm=HelmOptions(
            chart=ChartReference(**helm["chart"]) if "chart" in helm else None,
            release_name=helm.get("releaseName", ""),
            values_files=tuple(helm.get("valuesFiles", ())),
            values=helm.get("values", {}),
            include_crds=helm.get("includeCRDs", True),
        ),
        jsonnet=JsonnetOptions(
            entry=jsonnet.get("entry", "main.jsonnet"), libraries=tuple(jsonnet.get("libraries", ()))
        ),
        origin=origin,
    )


def _target(value: Mapping[str, Any], origin: str) -> Target:
    return Target(
        name=value.get("name", ""),
        clusters=tuple(value.get("clusters", ())),
        group=value.get("group", ""),
        selector=selector_of(value.get("selector")),
        overlay=value.get("overlay", ""),
        values=value.get("values", {}),
        values_files=tuple(value.get("valuesFiles", ())),
        variables=value.get("variables", {}),
        origin=origin,
    )
