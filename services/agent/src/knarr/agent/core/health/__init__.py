"""How an object is, from the object alone: the kstatus rules, and one small file per kind.

A rule takes the live object (a mapping) and gives a Health. Kinds without a rule are judged by their Ready conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from knarr.agent.core.health import (
    autoscaling,
    batch,
    certificates,
    definitions,
    generic,
    networking,
    pods,
    volumes,
    workloads,
)
from knarr.agent.core.health.value import CURRENT, Health, HealthStatus

__all__ = ["CURRENT", "Health", "HealthStatus", "health_of"]

Rule = Callable[[Mapping[str, Any]], Health]
RULES: dict[tuple[str, str], Rule] = {
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("batch", "Job"): batch.job,
    ("batch", "CronJob"): batch.cron_job,
    ("", "Pod"): pods.pod,
    ("", "PersistentVolumeClaim"): volumes.claim,
    ("", "PersistentVolume"): volumes.volume,
    ("", "Service"): networking.service,
    ("networking.k8s.io", "Ingress"): networking.ingress,
    ("gateway.networking.k8s.io", "Gateway"): networking.gateway,
    ("gateway.networking.k8s.io", "GatewayClass"): networking.gateway,
    ("gateway.networking.k8s.io", "HTTPRoute"): networking.route,
    ("gateway.networking.k8s.io", "GRPCRoute"): networking.route,
    ("gateway.networking.k8s.io", "TLSRoute"): networking.route,
    ("gateway.networking.k8s.io", "TCPRoute"): networking.route,
    ("cert-manager.io", "Certificate"): certificates.ready,
    ("cert-manager.io", "Issuer"): certificates.ready,
    ("cert-manager.io", "ClusterIssuer"): certificates.ready,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): definitions.custom_resource_definition,
    ("apiregistration.k8s.io", "APIService"): definitions.api_service,
    ("autoscaling", "HorizontalPodAutoscaler"): autoscaling.horizontal,
    ("policy", "PodDisruptionBudget"): autoscaling.disruption_budget,
    ("argoproj.io", "Rollout"): workloads.argo_rollout,
}


def health_of(found: Mapping[str, Any], group: str, kind: str) -> Health:
    """The health of a live object. An object on its way out is Terminating whatever its kind."""
    metadata = found.get("metadata") or {}
    if "deletionTimestamp" in metadata:
        held = ", ".join(metadata.get("finalizers") or ())
        return Health(HealthStatus.TERMINATING, f"waits for finalizers {held}" if held else "is being deleted")
    rule = RULES.get((group, kind))
    if rule is not None:
        return rule(found)
    return generic.by_conditions(found)
