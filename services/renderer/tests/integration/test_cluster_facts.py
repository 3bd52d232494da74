"""What a cluster is (labels, version, capabilities) in charts, values and variables: strictly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import orjson
import pytest

from knarr.bundle.packing import unpack
from knarr.pipeline.names import FLEET_SOURCE, AppName
from knarr.pipeline.revision import ClusterFacts
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.offline import Offline, Result, offline
from knarr.renderer.ports import FactsRead

MONITORS = "monitoring.coreos.com/v1/ServiceMonitor"
CLUSTERS = {
    "fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\n",
    "clusters/a.yaml": "apiVersion: knarr.dev/v1\nkind: Cluster\nname: with\nlabels: {region: eu}\n",
    "clusters/b.yaml": "apiVersion: knarr.dev/v1\nkind: Cluster\nname: without\nlabels: {region: us}\n",
}
FACTS = FactsRead(
    facts=(
        ClusterFacts(cluster="with", kubernetes_version="v1.36.1", capabilities=(MONITORS,), capabilities_known=True),
        ClusterFacts(cluster="without", kubernetes_version="v1.30.2", capabilities_known=True),
    )
)


@pytest.fixture
async def renderer(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path / "work") as made:
        yield made


async def rendered(renderer: Offline, folder: Path, files: Mapping[str, str], facts: FactsRead = FACTS) -> Result:
    for path, content in {**CLUSTERS, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return await renderer.render({FLEET_SOURCE: folder_snapshot(folder, FLEET_SOURCE)}, facts)


def in_cluster(result: Result, cluster: str) -> dict[str, dict[str, object]]:
    """Kind and name → the object that the cluster gets."""
    for variant in result.revisions[AppName("web")].variants:
        if cluster in variant.clusters and variant.bundle is not None:
            objects = unpack(result.plain[variant.bundle.digest]).objects
            return {f"{o['kind']} {o['metadata']['name']}": o for o in objects}
    raise AssertionError(f"{cluster} gets nothing")


async def test_a_chart_asks_what_the_cluster_serves(renderer: Offline, tmp_path: Path) -> None:
    files = {
        "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        "web/templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
        "data: {kube: '{{ .Capabilities.KubeVersion.Minor }}'}\n",
        "web/templates/m.yaml": '{{ if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" }}\n'
        "apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: m}\n{{ end }}\n",
    }
    result = await rendered(renderer, tmp_path / "fleet", files)
    assert set(in_cluster(result, "with")) == {"ConfigMap a", "ServiceMonitor m"}
    assert set(in_cluster(result, "without")) == {"ConfigMap a"}
    assert in_cluster(result, "with")["ConfigMap a"]["data"] == {"kube": "36"}
    assert in_cluster(result, "without")["ConfigMap a"]["data"] == {"kube": "30"}


APP = "apiVersion: knarr.dev/v1\nkind: App\nvariables: {}\n"


async def test_variables_ask_too(renderer: Offline, tmp_path: Path) -> None:
    asked = {
        "region": "cluster.labels.region",
        "version": "cluster.kubernetesVersion",
        "monitors": f"cluster.capabilities.{MONITORS}",
        "group": "cluster.capabilities.monitoring.coreos.com/v1",
        "policies": "cluster.capabilities.admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy",
        "core": "cluster.capabilities.v1/ConfigMap",
    }
    data = orjson.dumps({key: f"${{{name}}}" for key, name in asked.items()}).decode()
    config_map = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {data}\n"
    result = await rendered(renderer, tmp_path / "fleet", {"web/knarr.yaml": APP, "web/a.yaml": config_map})
    assert in_cluster(result, "with")["ConfigMap a"]["data"] == {
        "region": "eu", "version": "1.36.1", "monitors": "true", "group": "true", "policies": "true", "core": "true",
    }  # fmt: skip
    assert in_cluster(result, "without")["ConfigMap a"]["data"] == {
        "region": "us", "version": "1.30.2", "monitors": "false", "group": "false", "policies": "true", "core": "true",
    }  # fmt: skip


async def test_what_is_not_known_of_a_cluster_is_an_error_for_it_alone(renderer: Offline, tmp_path: Path) -> None:
    config_map = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{m: '${{cluster.capabilities.{MONITORS}}}'}}\n"
    )
    files = {"web/knarr.yaml": APP, "web/a.yaml": config_map}
    one = FactsRead(facts=FACTS.facts[:1])
    result = await rendered(renderer, tmp_path / "fleet", files, one)
    assert [f.code for f in result.finished[AppName("web")].failures] == ["KNR2201"]
    assert in_cluster(result, "with")["ConfigMap a"]["data"] == {"m": "true"}
    written = CLUSTERS["clusters/b.yaml"] + f"capabilities: [{MONITORS}]\n"
    told = await rendered(renderer, tmp_path / "fleet", {**files, "clusters/b.yaml": written}, one)
    assert in_cluster(told, "without")["ConfigMap a"]["data"] == {"m": "true"}
    unread = FactsRead(facts=(FACTS.facts[0], ClusterFacts(cluster="without", kubernetes_version="v1.²")))
    kept = await rendered(renderer, tmp_path / "fleet", {**files, "clusters/b.yaml": written}, unread)
    assert in_cluster(kept, "without")["ConfigMap a"]["data"] == {"m": "true"}
