"""Services, Ingresses, Gateways and routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.agent.core.health.generic import by_conditions
from knarr.agent.core.health.value import CURRENT, Health, conditions_of, failed, in_progress, says


def service(found: Mapping[str, Any]) -> Health:
    """A LoadBalancer waits for its address; every other type is current at once."""
    if (found.get("spec") or {}).get("type") != "LoadBalancer":
        return CURRENT
    balancer = (found.get("status") or {}).get("loadBalancer") or {}
    return CURRENT if balancer.get("ingress") else in_progress("waits for the load balancer's address")


def ingress(_found: Mapping[str, Any]) -> Health:
    """Current as soon as it exists: many controllers never write an address."""
    return CURRENT


def gateway(found: Mapping[str, Any]) -> Health:
    """Accepted and programmed; what its controller refuses is failed. Also for a GatewayClass."""
    accepted = conditions_of(found).get("Accepted", {})
    if accepted.get("status") == "False":
        return failed(says(accepted))
    return by_conditions(found)


def route(found: Mapping[str, Any]) -> Health:
    """Every parent has accepted it and resolved its references."""
    parents = (found.get("status") or {}).get("parents") or ()
    if not parents:
        return in_progress("no gateway has taken the route yet")
    for parent in parents:
        for condition in parent.get("conditions") or ():
            if condition.get("type") in ("Accepted", "ResolvedRefs") and condition.get("status") == "False":
                return failed(says(condition))
    return CURRENT
