"""What goes wrong in one app, even where nothing should, is that app's failure alone (I5)."""

from __future__ import annotations

from pathlib import Path

from knarr.pipeline.names import FLEET_SOURCE, AppName
from knarr.pipeline.revision import ClusterFacts
from knarr.renderer.adapters.cache import MemoryCache
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.core.limits import Limits
from knarr.renderer.offline import Offline, offline
from knarr.renderer.ports import FactsRead, ToolJob

FILES = {
    "fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\n",
    "clusters/one.yaml": "apiVersion: knarr.dev/v1\nkind: Cluster\nname: one\n",
    "plain/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
}


class Broken:
    """A tool with a bug."""

    version = "1"

    async def run(self, job: ToolJob) -> tuple[tuple[str, bytes], ...]:
        raise AttributeError("nobody expects this")


def written(folder: Path, files: dict[str, str]) -> Path:
    for path, content in {**FILES, **files}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder


async def test_a_bug_in_one_app_stops_no_other(tmp_path: Path) -> None:
    fleet = written(tmp_path, {"built/kustomization.yaml": "resources: []\n"})
    renderer = Offline({"kustomize": Broken()}, Limits(), MemoryCache())
    result = await renderer.render({FLEET_SOURCE: folder_snapshot(fleet, FLEET_SOURCE)})
    assert [f.code for f in result.finished[AppName("built")].failures] == ["KNR2590"]
    assert result.finished[AppName("plain")].failures == ()
    assert AppName("plain") in result.revisions


async def test_very_many_capabilities_reach_the_chart(tmp_path: Path) -> None:
    chart = {
        "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        "web/templates/a.yaml": '{{ if .Capabilities.APIVersions.Has "g4999.example.com/v1/Kind" }}\n'
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n{{ end }}\n",
    }
    fleet = written(tmp_path / "fleet", chart)
    many = tuple(f"g{n}.example.com/v1/Kind" for n in range(5_000))
    facts = FactsRead(facts=(ClusterFacts(cluster="one", capabilities=many, capabilities_known=True),))
    async with offline(tmp_path / "work") as renderer:
        result = await renderer.render({FLEET_SOURCE: folder_snapshot(fleet, FLEET_SOURCE)}, facts)
    assert result.finished[AppName("web")].failures == ()
    assert AppName("web") in result.revisions
