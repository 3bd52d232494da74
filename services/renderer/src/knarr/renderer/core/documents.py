"""The documents of knarr.dev/v1 as values: what people write, with nothing left to interpret.

Made by parse.py, which has checked them against the published schemas. Defaults here are the documented ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from knarr.bundle.bounds import UNBOUNDED, Bounds
from knarr.pipeline.chart_lock import ChartReference
from knarr.pipeline.names import FLEET_SOURCE, AppName, ClusterName, SourceName
from knarr.renderer.core.scalars import Scalar
from knarr.renderer.core.selector import Selector

API_VERSION = "knarr.dev/v1"
FLEET_FILE = "fleet.yaml"
APP_FILE = "knarr.yaml"
CLUSTERS_FOLDER = "clusters"
POLICIES_FOLDER = "rollouts"


class Membership(Enum):
    """Who is a member of the fleet. It is written, never concluded from what is missing."""

    DOCUMENTED = "Documented"
    ENROLLED = "Enrolled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBounds:
    """What a source's apps may touch (`objects`), and which clusters they may go to; None: any."""

    objects: Bounds = UNBOUNDED
    clusters: tuple[str, ...] | None = None
    selector: Selector = field(default_factory=Selector)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A followed repository as fleet.yaml names it; url, ref and credentials are the fetcher's."""

    name: SourceName
    url: str = ""
    apps: str = ""
    path: str = ""
    bounds: SourceBounds = field(default_factory=SourceBounds)
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """fleet.yaml. `guards` is canonical JSON for rollout, empty when left out. `bounds`: of the fleet's own apps."""

    name: str = ""
    membership: Membership = Membership.DOCUMENTED
    bounds: SourceBounds = field(default_factory=SourceBounds)
    apps: str = ""
    sources: tuple[Source, ...] = ()
    groups: Mapping[str, Selector] = field(default_factory=dict)
    reported_labels: frozenset[str] = frozenset()
    guards: bytes = b""

    def bounds_of(self, source: SourceName) -> SourceBounds:
        """What the apps of `source` may touch."""
        if source == FLEET_SOURCE:
            return self.bounds
        return next((s.bounds for s in self.sources if s.name == source), SourceBounds())


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
    """knarr.yaml. `policy` holds the keys that become the bundle's header; `variables` is None when not given.

    `unbuilt`: keys that are written down and that nothing obeys yet.
    """

    name: str = ""
    renderer: str = ""
    path: str = ""
    namespace: str = ""
    targets: tuple[Target, ...] = field(default_factory=lambda: (Target(),))
    variables: Mapping[str, Scalar] | None = None
    depends_on: tuple[AppName, ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    unbuilt: tuple[str, ...] = ()
    allow_plaintext_secrets: bool = False
    allow_unknown_kinds: bool = True
    helm: HelmOptions = field(default_factory=HelmOptions)
    jsonnet: JsonnetOptions = field(default_factory=JsonnetOptions)
    origin: str = ""

    @property
    def untargeted(self) -> bool:
        """Whether it does not say where it goes: then to every cluster that its source may go to."""
        return self.targets == (Target(),)
