"""Real Kubernetes clusters: one etcd, an API server each, and kwok to play nodes and pods.

`KubeFleet` is the door; its clusters are real API servers built from Kubernetes' own module (`make kube`).
"""

from __future__ import annotations

from knarr.local.kube.cluster import KubeCluster
from knarr.local.kube.fleet import KubeFleet
from knarr.local.kube.stages import DELAY_KEY, FATE_KEY, Fate

__all__ = ["DELAY_KEY", "FATE_KEY", "Fate", "KubeCluster", "KubeFleet"]
