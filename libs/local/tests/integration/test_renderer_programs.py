"""kustomize and helm as built, and kubectl's kustomize as the fallback that renders the same bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from knarr.local.build import version_of
from knarr.local.tools import helm_command, kustomize_command


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.timeout(900)
def test_kustomize_says_its_version_and_renders_as_kubectl_does(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        "namePrefix: pre-\nconfigMapGenerator:\n- name: settings\n  literals: [a=1]\nresources: [map.yaml]\n"
    )
    (tmp_path / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plain\n")
    command = kustomize_command(build=True)

    assert command.version == version_of("kustomize")
    assert command.version in _output(command.argv[0], "version")
    kubectl = str(Path(sys.prefix) / "bin" / "kubectl")
    assert _output(*command.argv, str(tmp_path)) == _output(kubectl, "kustomize", str(tmp_path))


@pytest.mark.timeout(900)
def test_helm_says_its_version() -> None:
    command = helm_command(build=True)
    assert command.version in _output(*command.argv, "version")
