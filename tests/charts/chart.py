"""The agent's chart through real helm: rendered, linted, installed; and the credentials of what it installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from knarr.local.kube import KubeCluster

AGENT_CHART = Path(__file__).resolve().parents[2] / "deploy" / "charts" / "agent"
NAMESPACE = "knarr-system"
SEED = "SU" + "A" * 56
TRUST = json.dumps({"epoch": "e1", "verify_keys": ["A" * 43 + "="]})
Document = dict[str, Any]

MINIMAL: Mapping[str, Any] = {
    "cluster": "dev",
    "hub": {"urls": ["tls://hub.example:4222"]},
    "credentials": {"nkeySeed": SEED, "trust": TRUST},
}


class Refused(Exception):
    """What helm said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    """helm with a home of its own."""

    argv: tuple[str, ...]
    home: Path

    def render(self, values: Mapping[str, Any], *, release: str = "agent") -> list[Document]:
        """The objects that would be installed. Raises Refused."""
        words = ("template", release, str(AGENT_CHART), "--namespace", NAMESPACE)
        found = list(yaml.safe_load_all(self._run(*words, values=values)))
        return [document for document in found if document]

    def lint(self, values: Mapping[str, Any]) -> str:
        """Raises Refused on any warning."""
        return self._run("lint", "--strict", str(AGENT_CHART), values=values)

    def install(self, cluster: KubeCluster, values: Mapping[str, Any], *, release: str = "agent") -> str:
        """Installs or upgrades, and waits until all of it is ready."""
        words = ("upgrade", "--install", release, str(AGENT_CHART), "--namespace", NAMESPACE)
        return self._run(*words, f"--kubeconfig={cluster.kubeconfig}", "--wait", "--timeout=90s", values=values)

    def uninstall(self, cluster: KubeCluster, *, release: str = "agent") -> str:
        """Takes it out again."""
        words = ("uninstall", release, "--namespace", NAMESPACE, "--wait", "--timeout=90s")
        return self._run(*words, f"--kubeconfig={cluster.kubeconfig}")

    def _run(self, *words: str, values: Mapping[str, Any] | None = None) -> str:
        given = ("--values", "-") if values is not None else ()
        done = subprocess.run(
            [*self.argv, *words, *given],
            input=json.dumps(values or {}),
            env={"HOME": str(self.home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        if done.returncode:
            raise Refused(done.stderr + done.stdout)
        return done.stdout


def only(kind: str, documents: list[Document]) -> Document:
    """The one object of that kind."""
    (found,) = [d for d in documents if d["kind"] == kind]
    return found


async def namespace(cluster: KubeCluster, name: str, **labels: str) -> None:
    """Makes it, with Pod Security's label for instance."""
    marks = {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()}
    await cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": marks}})


def path_of(document: Document) -> str:
    """Where the API server keeps it."""
    version, kind, metadata = document["apiVersion"], document["kind"].lower(), document["metadata"]
    plural = kind[:-1] + "ies" if kind.endswith("y") else kind + "s"
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    space = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
    return f"{base}{space}/{plural}/{metadata['name']}"


async def apply(cluster: KubeCluster, document: Document, *, dry_run: bool = False) -> tuple[int, Any]:
    """Server-side apply with strict field validation."""
    query = "fieldManager=test&fieldValidation=Strict" + ("&dryRun=All" if dry_run else "")
    path = f"{path_of(document)}?{query}"
    return await cluster.request("PATCH", path, document, content_type="application/apply-patch+yaml")


async def kubeconfig_of(cluster: KubeCluster, service_account: str, folder: Path) -> Path:
    """A kubeconfig with a fresh token of the service account, as its pod would have."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{service_account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    status, answer = await cluster.request("POST", path, request)
    assert status == 201, answer
    document = json.loads(cluster.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": answer["status"]["token"]}
    file = folder / "service-account.json"
    file.write_text(json.dumps(document))
    file.chmod(0o600)
    return file
