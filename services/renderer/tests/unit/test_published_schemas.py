"""The published schemas, their reference page, and the packed schemas of Kubernetes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from knarr.pipeline.schemas import schema_bytes
from knarr.renderer.core import kubernetes_schemas
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.parse import parse
from knarr.renderer.core.schemas import KINDS, schema

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_validator_takes_the_schema(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(kind))


def test_the_reference_page_is_up_to_date() -> None:
    tool = ROOT / "services/renderer/tools/write_reference.py"
    assert subprocess.run([sys.executable, str(tool), "--check"]).returncode == 0


def test_every_mistake_of_a_file_is_reported_at_once_with_its_place() -> None:
    text = b"apiVersion: knarr.dev/v1\nkind: App\nnmae: web\nprune: 3\ntargets:\n  - {clusters: one, overly: x}\n"
    found = parse(text, "knarr.yaml", ("App",), Limits()).failures
    assert [(f.code, f.origin) for f in found] == [
        ("KNR2010", "knarr.yaml:3:1"),
        ("KNR2011", "knarr.yaml:4:8"),
        ("KNR2011", "knarr.yaml:6:16"),
        ("KNR2010", "knarr.yaml:6:21"),
    ]
    assert "did you mean 'name'" in found[0].message
    assert "did you mean 'overlay'" in found[3].message


def test_versions_of_kubernetes_are_known_and_an_unknown_one_counts_as_the_newest() -> None:
    versions = kubernetes_schemas.versions()
    assert {"1.34", "1.35", "1.36"} <= set(versions)
    assert kubernetes_schemas.nearest_version("") == versions[-1]
    assert kubernetes_schemas.nearest_version("1.99") == versions[-1]
    assert kubernetes_schemas.nearest_version("1.36") == "1.36"
    assert kubernetes_schemas.serves("1.36", ("apps/v1", "Deployment"))


def test_every_document_of_the_examples_names_its_schema_for_editors() -> None:
    examples = ROOT / "examples"
    documents = [p for p in examples.rglob("*.yaml") if "bad" not in p.relative_to(examples).parts]
    documents = [p for p in documents if "apiVersion: knarr.dev/v1" in p.read_text()]
    assert len(documents) > 20
    for path in documents:
        head, _, text = path.read_text().partition("\n")
        named = head.removeprefix("# yaml-language-server: $schema=")
        schema_file = (path.parent / named).resolve()
        kind = next(line.removeprefix("kind: ") for line in text.splitlines() if line.startswith("kind: "))
        assert schema_file.read_bytes() == schema_bytes(kind.lower()), path
