"""A source's bounds: which clusters its apps may go to, what they may hold, and what reaches the bundle's header."""

from __future__ import annotations

from typing import Any

import pytest

from knarr.bundle.bounds import UNBOUNDED, Bounds
from knarr.bundle.header import header_from_json, header_to_json
from knarr.pipeline.names import FLEET_SOURCE, AppName, ClusterName, SourceName
from knarr.renderer.core.bounds import app_faults, bounds_faults
from knarr.renderer.core.documents import App, Cluster, Fleet, SourceBounds, Target
from knarr.renderer.core.header import header_of
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.matrix import ClusterIndex, place
from knarr.renderer.core.parse import parse
from knarr.renderer.core.selector import Selector

FLEET = "apiVersion: knarr.dev/v1\nkind: Fleet\n"
SOURCE = "sources:\n  - name: team\n    url: https://example.com/team\n    bounds: {bounds}\n"
INDEX = ClusterIndex(
    Cluster(name=ClusterName(name), labels={"env": name.partition("-")[0]}) for name in ("dev-1", "dev-2", "prod-1")
)


def bounds_of(text: str, source: str = "team") -> SourceBounds:
    parsed = parse((FLEET + SOURCE.format(bounds=text)).encode(), "fleet.yaml", ("Fleet",), Limits())
    assert parsed.failures == ()
    (fleet,) = parsed.documents
    assert isinstance(fleet, Fleet)
    return fleet.bounds_of(SourceName(source))


def placed(app: App, bounds: SourceBounds) -> tuple[list[str], list[str]]:
    """Where the app goes, and what its targets name beyond."""
    matrix = place(app, INDEX, {}, bounds)
    return [c.name for p in matrix.placements for c in p.clusters], [c.name for p in matrix.outside for c in p.clusters]


def test_a_source_without_bounds_moves_no_digest() -> None:
    assert bounds_of("{}").objects == UNBOUNDED
    assert bounds_of("{namespaces: [a]}", FLEET_SOURCE).objects == UNBOUNDED
    assert "bounds" not in header_to_json(header_of(AppName("a"), App(), UNBOUNDED))


def test_who_may_touch_some_namespaces_only_holds_nothing_of_the_whole_cluster_unless_it_is_said() -> None:
    assert bounds_of("{namespaces: [a]}").objects.cluster_kinds == ()
    assert bounds_of("{kinds: [ConfigMap]}").objects.cluster_kinds is None
    assert bounds_of("{namespaces: [a], clusterKinds: [Namespace]}").objects.cluster_kinds == ("Namespace",)


def test_everything_that_is_said_travels_in_the_header() -> None:
    said = "{namespaces: [a-*], kinds: [ConfigMap], serviceAccount: team, systemNamespaces: [kube-system], \
adoptNamespaces: true}"
    header = header_of(AppName("a"), App(), bounds_of(said).objects)
    assert header.service_account == "team"
    assert header_from_json(header_to_json(header)).bounds == Bounds(
        source="team",
        namespaces=("a-*",),
        kinds=("ConfigMap",),
        cluster_kinds=(),
        system_namespaces=("kube-system",),
        adopt_namespaces=True,
        service_account="team",
    )


@pytest.mark.parametrize("bounds", ["{clusters: [dev-*]}", "{clusterSelector: {matchLabels: {env: dev}}}"])
def test_a_target_outside_is_refused_and_the_others_go_on(bounds: str) -> None:
    everywhere = App(targets=(Target(selector=Selector(), origin="knarr.yaml:1"),))
    assert placed(everywhere, bounds_of(bounds)) == (["dev-1", "dev-2"], ["prod-1"])
    by_name = App(targets=(Target(clusters=("prod-1",), origin="knarr.yaml:1"),))
    assert placed(by_name, bounds_of(bounds)) == ([], ["prod-1"])


def test_an_app_that_names_no_target_goes_wherever_its_source_may() -> None:
    assert placed(App(), bounds_of("{clusters: [dev-*]}")) == (["dev-1", "dev-2"], [])
    assert placed(App(), bounds_of("{namespaces: [a]}")) == (["dev-1", "dev-2", "prod-1"], [])


def test_an_app_may_repeat_its_sources_account_and_name_no_other() -> None:
    bound = Bounds(service_account="team")
    codes = {
        name: [f.code for f in app_faults(App(policy={"serviceAccount": name} if name else {}), bound)]
        for name in ("", "team", "admin")
    }
    assert codes == {"": [], "team": [], "admin": ["KNR2607"]}


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease", "knarr-system"])
def test_an_app_of_an_unbounded_source_touches_neither_the_clusters_own_namespaces_nor_the_agents(
    namespace: str,
) -> None:
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "namespace": namespace},
    }
    hook = {**manifest, "metadata": {**manifest["metadata"], "annotations": {"knarr.dev/hook": "pre-apply"}}}
    for found in (manifest, hook):
        assert [f.code for f in bounds_faults([found], {}, UNBOUNDED)] == ["KNR2605"]
    assert [f.code for f in app_faults(App(namespace=namespace), UNBOUNDED)] == ["KNR2605"]
    lifted = Bounds(system_namespaces=("kube-system", "kube-public", "kube-node-lease"))
    assert bool(list(bounds_faults([manifest], {}, lifted))) == (namespace == "knarr-system")
