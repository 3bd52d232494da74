"""`knarr vet`, `render` and `diff` over the examples and a repository of the test's own."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pygit2
import pytest
from click.testing import CliRunner, Result

from knarr.cli.diff import diff
from knarr.cli.render import render
from knarr.cli.vet import vet

EXAMPLES = Path(__file__).parents[3] / "examples"
SHOP, BAD = EXAMPLES / "shop", EXAMPLES / "bad" / "unknown-key"
AUTHOR = pygit2.Signature("Test", "test@example.com", 1_700_000_000, 0)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The shop as a Git repository with one commit."""
    folder = tmp_path / "shop"
    shutil.copytree(SHOP, folder)
    repository = pygit2.init_repository(folder, initial_head="main")
    repository.index.add_all()
    repository.index.write()
    repository.create_commit("HEAD", AUTHOR, AUTHOR, "one", repository.index.write_tree(), [])
    return folder


def invoke(command: object, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments])  # type: ignore[arg-type]


def test_vet_says_that_all_is_well_and_ends_with_0() -> None:
    done = invoke(vet, SHOP)
    assert done.exit_code == 0
    assert "5 apps: 0 errors, 0 warnings, all well" in done.output


def test_vet_fails_with_file_line_column_and_the_nearest_key() -> None:
    done = invoke(vet, BAD)
    assert done.exit_code == 1
    assert "web/knarr.yaml:3:1: error KNR2010" in done.output
    assert "did you mean 'namespace'?" in done.output


def test_every_form_of_vet_holds_the_same_findings() -> None:
    listed = json.loads(invoke(vet, BAD, "-o", "json").output)
    sarif = json.loads(invoke(vet, BAD, "-o", "sarif").output)
    junit = ElementTree.fromstring(invoke(vet, BAD, "-o", "junit").output)
    codes = [f["code"] for f in listed]
    assert codes == [r["ruleId"] for r in sarif["runs"][0]["results"]]
    region = sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 3, "startColumn": 1}
    (suite,) = junit
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_render_prints_the_bytes_whose_digest_the_assignment_names() -> None:
    plain = invoke(render, "checkout", "--fleet", SHOP, "--cluster", "prod-eu-1")
    digest = invoke(render, "checkout", "--fleet", SHOP, "--cluster", "prod-eu-1", "-o", "digest").output.strip()
    assert hashlib.sha256(plain.stdout_bytes).hexdigest() == digest


def test_render_names_the_clusters_that_the_app_goes_to() -> None:
    done = invoke(render, "gateway", "--fleet", SHOP, "--cluster", "dev-1")
    assert getattr(done.exception, "code", "") == "KNR2109"


def test_diff_is_loud_about_the_accident(shop: Path) -> None:
    (shop / "apps/monitoring/kustomization.yaml").write_text("resources: [rules-nodes.yaml]\n")
    done = invoke(diff, "HEAD", "--fleet", shop, "--fail-on-deletion")
    assert done.exit_code == 3
    assert done.output.splitlines()[1] == "!! 168 objects WOULD BE DELETED, counted over clusters:"


def test_diff_masks_secrets_on_both_sides(shop: Path) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData: {{a: {}, b: same}}\n"
    app = shop / "apps/web/knarr.yaml"
    app.write_text(app.read_text() + "allowPlaintextSecrets: true\n")
    (shop / "apps/web/secret.yaml").write_text(text.format("first-secret"))
    repository = pygit2.Repository(shop)
    repository.index.add_all()
    tree = repository.index.write_tree()
    repository.create_commit("HEAD", AUTHOR, AUTHOR, "two", tree, [repository.head.target])
    (shop / "apps/web/secret.yaml").write_text(text.format("second-secret"))
    done = invoke(diff, "HEAD", "--fleet", shop)
    assert "-  a: (masked, before)" in done.output
    assert "+  a: (masked, changed)" in done.output
    assert "secret" not in done.output.replace("Secret default/s", "").replace("kind: Secret", "")
    assert "same" not in done.output


def test_a_cluster_that_leaves_is_detached_and_nothing_is_deleted_there(shop: Path) -> None:
    (shop / "clusters/dev-1.yaml").unlink()
    done = invoke(diff, "HEAD", "--fleet", shop)
    assert done.output == ("1 cluster detached, nothing is deleted there: dev-1\nNothing changes in any cluster.\n")


def test_a_picture_asks_no_other_host_and_is_wide_enough(shop: Path, tmp_path: Path) -> None:
    deployment = shop / "apps/checkout/base/deployment.yaml"
    deployment.write_text(deployment.read_text().replace("8080", "9090"))
    invoke(diff, "HEAD", "--fleet", shop, "--svg", tmp_path / "diff.svg")
    picture = (tmp_path / "diff.svg").read_text().replace("&#160;", " ")
    assert "url(http" not in picture
    assert "Deployment.apps shop/checkout" in picture
    assert "(prod-eu-1, prod-eu-2, prod-eu-3, prod-eu-4, prod-us-1, prod-us-2, prod-us-3, prod-us-4)" in picture


def test_variants_that_lose_the_same_are_told_together(shop: Path) -> None:
    (shop / "apps/checkout/base/service.yaml").unlink()
    kustomization = shop / "apps/checkout/base/kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("  - service.yaml\n", ""))
    loud = [x for x in invoke(diff, "HEAD", "--fleet", shop).output.splitlines() if x.startswith("!!")]
    assert [line.partition(" (")[0] for line in loud] == [
        "!! 12 objects WOULD BE DELETED, counted over clusters:",
        "!! checkout, in 12 clusters",
        "!!   - Service shop/checkout",
    ]


def test_an_unknown_commit_has_a_number(shop: Path) -> None:
    assert getattr(invoke(diff, "nowhere", "--fleet", shop).exception, "code", "") == "KNR6201"


def test_a_fleet_of_enrolled_clusters_renders_for_any_cluster_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text("apiVersion: knarr.dev/v1\nkind: Fleet\nname: f\nclusters: Enrolled\n")
    (tmp_path / "hello").mkdir()
    configmap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: h, namespace: default}\n"
    (tmp_path / "hello/h.yaml").write_text(configmap)
    done = invoke(render, "hello", "--fleet", tmp_path, "--cluster", "sim-1")
    assert (done.exit_code, done.output) == (0, invoke(render, "hello", "--fleet", tmp_path).output)
    assert "1 app: 0 errors" in invoke(vet, tmp_path).output


def test_a_folder_without_fleet_is_named_as_the_cause(shop: Path) -> None:
    (shop / "fleet.yaml").unlink()
    assert getattr(invoke(render, "checkout", "--fleet", shop).exception, "code", "") == "KNR2015"
    assert invoke(diff, "HEAD", "--fleet", shop).exit_code == 1
