"""What the renderer knows of Kubernetes, against a real API server: scopes of kinds, and what YAML becomes there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from knarr.local.kube import KubeCluster
from knarr.renderer.core import kubernetes_schemas
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.scope import is_namespaced
from knarr.renderer.core.yaml_kubectl import read_documents
from knarr.testkit.loop_thread import LoopThread

pytestmark = pytest.mark.kube
KUBECTL = str(Path(sys.prefix) / "bin" / "kubectl")
_SECONDS = 60.0

ODD = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: odd
  annotations: {date: 2026-01-01, time: 22:22, quoted: "yes"}
data:
  time: 22:22
  date: 2026-01-01
  version: 1.2.3
  twice: first
  twice: second
  folded: >-
    one
    two
"""
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: anythings.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Anything, listKind: AnythingList, plural: anythings, singular: anything}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
ANYTHING = """\
apiVersion: example.com/v1
kind: Anything
metadata: {name: odd}
spec:
  octal: 0777
  newer: 0o17
  hex: 0x1F
  exponent: 1e3
  whole: 1.0
  yes: yes
  word: off
  base: &base {a: 1}
  merged: {<<: *base, b: 2}
  nothing: ~
  1: one
  1.10: version
"""


@pytest.fixture
def kubectl(kube_cluster: KubeCluster, namespace: str) -> list[str]:
    return [KUBECTL, "--kubeconfig", str(kube_cluster.kubeconfig), "--namespace", namespace]


def test_every_kind_that_the_server_serves_has_the_scope_that_we_think(
    kube_cluster: KubeCluster, server_loop: LoopThread
) -> None:
    served = server_loop.call(_served(kube_cluster), deadline_seconds=_SECONDS)
    assert len(served) > 50
    wrong = [key for key, namespaced in served.items() if is_namespaced(*key, {}) is not namespaced]
    assert wrong == []


def test_every_kind_that_the_server_serves_has_a_schema(kube_cluster: KubeCluster, server_loop: LoopThread) -> None:
    served = server_loop.call(_served(kube_cluster), deadline_seconds=_SECONDS)
    _, version = server_loop.call(kube_cluster.request("GET", "/version"), deadline_seconds=_SECONDS)
    minor = f"{version['major']}.{version['minor'].rstrip('+')}"
    missing = [k for k in served if not kubernetes_schemas.serves(minor, k)]
    assert [k for k in missing if not k[1].endswith(("Review", "Binding"))] == []


def test_a_config_map_is_stored_as_we_read_it(
    kubectl: list[str], kube_cluster: KubeCluster, server_loop: LoopThread, namespace: str
) -> None:
    subprocess.run([*kubectl, "apply", "--server-side", "-f", "-"], input=ODD.encode(), check=True, capture_output=True)
    path = f"/api/v1/namespaces/{namespace}/configmaps/odd"
    _, stored = server_loop.call(kube_cluster.request("GET", path), deadline_seconds=_SECONDS)
    ours = read_documents(ODD.encode(), "odd.yaml", Limits())[0].value
    assert stored["data"] == ours["data"]
    assert stored["metadata"]["annotations"] == ours["metadata"]["annotations"]


async def test_any_scalar_is_stored_as_we_read_it(kubectl: list[str], namespace: str) -> None:
    await _applied(kubectl, CRD)
    async with asyncio.timeout(_SECONDS):
        while not await _applied(kubectl, ANYTHING, check=False):  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # until the new kind is served
    printed = await asyncio.to_thread(
        subprocess.run, [*kubectl, "get", "anything", "odd", "-o", "json"], check=True, capture_output=True
    )
    stored = read_documents(printed.stdout, "stored", Limits())[0].value
    assert stored["spec"] == read_documents(ANYTHING.encode(), "odd.yaml", Limits())[0].value["spec"]


async def _applied(kubectl: list[str], text: str, *, check: bool = True) -> bool:
    command = [*kubectl, "apply", "--server-side", "-f", "-"]
    done = await asyncio.to_thread(subprocess.run, command, input=text.encode(), check=check, capture_output=True)
    return done.returncode == 0


async def _served(cluster: KubeCluster) -> dict[tuple[str, str], bool]:
    """(apiVersion, kind) → namespaced, of everything but sub-resources, and but what other tests have defined."""
    _, groups = await cluster.request("GET", "/apis")
    _, defined = await cluster.request("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    ours = {crd["spec"]["group"] for crd in defined["items"]}
    versions = ["v1", *(v["groupVersion"] for g in groups["groups"] if g["name"] not in ours for v in g["versions"])]
    found: dict[tuple[str, str], bool] = {}
    for version in versions:
        _, listed = await cluster.request("GET", f"/apis/{version}" if "/" in version else f"/api/{version}")
        found.update(_resources(version, listed))
    return found


def _resources(version: str, listed: dict[str, Any]) -> dict[tuple[str, str], bool]:
    return {(version, r["kind"]): r["namespaced"] for r in listed["resources"] if "/" not in r["name"]}
