"""The demo's real clusters: API servers with controllers, scheduler and kwok."""

from __future__ import annotations

from collections.abc import Mapping

from knarr.cli.demo.clusters import KINDS
from knarr.cli.demo.narrator import shown
from knarr.cli.install.clusters import LocalCluster
from knarr.local.kube import KubeCluster
from knarr.pipeline.errors import retryable

_OK = 200
_NOT_FOUND = 404
_PLURALS = {"ConfigMap": "configmaps", "Deployment": "deployments", "Service": "services"}


class RealClusters:
    """By the name that the fleet gives them."""

    def __init__(self, clusters: Mapping[str, KubeCluster]) -> None:
        self._clusters = clusters
        self.local = tuple(
            LocalCluster(name=name, kubeconfig=c.kubeconfig, context=c.name) for name, c in clusters.items()
        )

    def how_to_look(self) -> str:
        """kubectl with the administrator's kubeconfig of the first."""
        kubeconfig = self.local[0].kubeconfig
        assert kubeconfig is not None
        return f"kubectl --kubeconfig {shown(kubeconfig)} get deployments,pods -A"

    async def scale_by_hand(self, cluster: str, deployment: str, namespace: str, replicas: int) -> None:
        """A merge patch with the administrator's credentials."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}?fieldManager=kubectl-edit"
        status, _ = await self._clusters[cluster].request(
            "PATCH", path, {"spec": {"replicas": replicas}}, content_type="application/merge-patch+json"
        )
        if status != _OK:
            raise retryable("KNR6220", f"the hand edit in {cluster} was answered with {status}")

    async def replicas(self, cluster: str, deployment: str, namespace: str) -> int | None:
        """What the API server says now."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        status, found = await self._clusters[cluster].request("GET", path)
        return None if status == _NOT_FOUND else int(found["spec"]["replicas"])

    async def names_in(self, cluster: str, namespace: str) -> frozenset[str]:
        """Kind/name of the objects of a namespace that an app may own."""
        names: set[str] = set()
        for group, kind in KINDS:
            base = f"/apis/{group}/v1" if group else "/api/v1"
            plural = _PLURALS.get(kind, "serviceaccounts")
            _, found = await self._clusters[cluster].request("GET", f"{base}/namespaces/{namespace}/{plural}")
            names |= {f"{kind}/{item['metadata']['name']}" for item in found["items"]}
        return frozenset(names)
