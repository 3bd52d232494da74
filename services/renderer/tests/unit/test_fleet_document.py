"""Who is a member, what is not built yet, and the guards: as fleet.yaml says, never by what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from knarr.pipeline.names import FLEET_SOURCE
from knarr.pipeline.revision import ClusterFacts
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.core.documents import Fleet
from knarr.renderer.core.fleet import FleetView, document_reader, read_fleet
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.parse import parse

FLEET = "apiVersion: knarr.dev/v1\nkind: Fleet\n"
CLUSTER = "apiVersion: knarr.dev/v1\nkind: Cluster\nname: one\nlabels: {env: prod}\n"
POLICY = "apiVersion: knarr.dev/v1\nkind: RolloutPolicy\nname: careful\n"
ENROLLED = ("one", "two")


def view(folder: Path, files: dict[str, str], enrolled: tuple[str, ...] = ENROLLED) -> FleetView:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    snapshot = folder_snapshot(folder, FLEET_SOURCE)
    assert snapshot.tree is not None
    facts = [ClusterFacts(cluster=name) for name in enrolled]
    return read_fleet(snapshot.tree, document_reader(snapshot.contents, Limits()), facts)


def members(seen: FleetView) -> list[str]:
    return [c.name for c in seen.clusters]


def codes(seen: FleetView) -> list[str]:
    return [f.code for f in (*seen.failures, *seen.notices)]


def test_a_fleet_without_its_clusters_folder_has_no_member_however_many_have_enrolled(tmp_path: Path) -> None:
    seen = view(tmp_path, {"fleet.yaml": FLEET})
    assert (members(seen), codes(seen), seen.complete) == ([], ["KNR2022"], True)


def test_documented_clusters_are_all_there_is(tmp_path: Path) -> None:
    seen = view(tmp_path, {"fleet.yaml": FLEET, "clusters/one.yaml": CLUSTER})
    assert (members(seen), codes(seen)) == (["one"], [])


def test_where_members_enroll_documents_add_labels_and_clusters_to_come(tmp_path: Path) -> None:
    seen = view(
        tmp_path, {"fleet.yaml": f"{FLEET}clusters: Enrolled\n", "clusters/one.yaml": CLUSTER}, ("two", "not_a_label")
    )
    assert (members(seen), codes(seen)) == (["one", "two"], [])
    assert seen.clusters[0].labels == {"env": "prod"}


def test_an_enrolled_cluster_whose_document_breaks_does_not_become_one_without_labels(tmp_path: Path) -> None:
    files = {"fleet.yaml": f"{FLEET}clusters: Enrolled\n", "clusters/one.yaml": CLUSTER, "clusters/two.yaml": "x: ["}
    seen = view(tmp_path, files)
    assert (members(seen), seen.complete) == (["one"], False)


def test_a_policy_changes_nothing_and_is_named_also_when_it_is_malformed(tmp_path: Path) -> None:
    files = {
        "fleet.yaml": f"{FLEET}---\n{POLICY}",
        "clusters/one.yaml": CLUSTER,
        "rollouts/a.yaml": POLICY,
        "rollouts/b.yaml": "x: [",
    }
    seen = view(tmp_path, files)
    assert (members(seen), codes(seen), seen.complete) == (["one"], ["KNR2021"] * 3, True)


@pytest.mark.parametrize(("window", "seconds"), [("1h", 3_600), ("60m", 3_600), ("24h", 86_400), ("30d", 2_592_000)])
def test_the_window_of_the_guards_reaches_rollout_in_seconds(window: str, seconds: int) -> None:
    parsed = parse(f"{FLEET}guards: {{window: {window}, minLostObjects: 5}}\n".encode(), "f", ("Fleet",), Limits())
    (fleet,) = parsed.documents
    assert isinstance(fleet, Fleet)
    assert json.loads(fleet.guards) == {"minLostObjects": 5, "windowSeconds": seconds}


@pytest.mark.parametrize(
    "guards",
    [
        "window: 59m",
        "window: 31d",
        "window: 24",
        "window: 0h",
        "maxLostShare: 1.01",
        "maxLostShare: -0.1",
        "minLostObjects: 0",
        "minLostObjects: 1000001",
        "maxClustersLeftShare: 2",
        "holdRemoval: maybe",
    ],
)
def test_guards_that_would_guard_nothing_are_refused(guards: str) -> None:
    parsed = parse(f"{FLEET}guards: {{{guards}}}\n".encode(), "f", ("Fleet",), Limits())
    assert [f.code for f in parsed.failures] == ["KNR2011"]


def test_a_login_in_an_address_that_does_not_fit_is_not_repeated() -> None:
    chart = "helm: {chart: {repository: 'https://me:pa55word@charts.example.com', name: web, version: ^1}}\n"
    parsed = parse(f"apiVersion: knarr.dev/v1\nkind: App\n{chart}".encode(), "f", ("App",), Limits())
    assert [f.code for f in parsed.failures] == ["KNR2011"]
    assert "pa55word" not in parsed.failures[0].message
