"""The documents of knarr.dev/v1 as values: what people write, with nothing left to interpret.

Made by parse.py, which has checked them against the published schemas. Defaults here are the documented ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from knarr.pipeline.chart_lock import ChartReference
from knarr.pipeline.names import AppName, ClusterName, SourceName
from knarr.renderer.core.scalars import Scalar
from knarr.renderer.core.selector import Selector

API_VERSION = "knarr.dev/v1"
FLEET_FILE = "fleet.yaml"
APP_FILE = "knarr.yaml"
CLUSTERS_FOLDER = "clusters"
POLICIES_FOLDER = "rollouts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A followed repository as fleet.yaml names it; url, ref and credentials are the fetcher's."""

    name: SourceName
    url: str = ""
    apps: str = ""
    path: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """fleet.yaml. `guards` is canonical JSON for rollout, empty when left out."""

    name: str = ""
    apps: str = ""
    sources: tuple[Source, ...] = ()
    groups: Mapping[str, Selector] = field(default_factory=dict)
    reported_labels: frozenset[str] = frozenset()
    guards: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A member of the fleet: its document, joined with what it says about itself where the fleet allows that."""

    name: ClusterName
    labels: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Scalar] = field(default_factory=dict)
    kubernetes_version: str = ""
    capabilities: tuple[str, ...] | None = None  # group/version/Kind beyond Kubernetes' own; None: not known
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A RolloutPolicy: rollout reads `document`, canonical JSON."""

    name: str
    document: bytes
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Clusters, and what is different there. Every condition that is given must hold."""

    name: str = ""
    clusters: tuple[str, ...] = ()
    group: str = ""
    selector: Selector = field(default_factory=Selector)
    overlay: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    values_files: tuple[str, ...] = ()
    variables: Mapping[str, Scalar] = field(default_factory=dict)
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelmOptions:
    """How a chart is rendered, and which, if it does not lie in the app's folder."""

    chart: ChartReference | None = None
    release_name: str = ""
    values_files: tuple[str, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    include_crds: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonnetOptions:
    """How jsonnet is rendered."""

    entry: str = "main.jsonnet"
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """knarr.yaml. `policy` holds the keys that become the bundle's header; `variables` is None when not given."""

    name: str = ""
    renderer: str = ""
    path: str = ""
    namespace: str = ""
    targets: tuple[Target, ...] = field(default_factory=lambda: (Target(),))
    variables: Mapping[str, Scalar] | None = None
    depends_on: tuple[AppName, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    rollout: str = ""
    sync_windows: bytes = b""
    allow_plaintext_secrets: bool = False
    allow_unknown_kinds: bool = True
    helm: HelmOptions = field(default_factory=HelmOptions)
    jsonnet: JsonnetOptions = field(default_factory=JsonnetOptions)
    origin: str = ""
