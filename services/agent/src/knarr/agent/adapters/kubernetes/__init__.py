"""The real cluster: kubernetes_asyncio for configuration and session, raw JSON for everything else (docs/adr/0005)."""

from knarr.agent.adapters.kubernetes.cluster import KubernetesCluster
from knarr.agent.adapters.kubernetes.session import credentials
from knarr.agent.adapters.kubernetes.store import SecretStore

__all__ = ["KubernetesCluster", "SecretStore", "credentials"]
