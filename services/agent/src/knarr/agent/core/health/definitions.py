"""What makes the API server serve more: CRDs and API services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.agent.core.health.value import CURRENT, Health, conditions_of, failed, in_progress, says


def custom_resource_definition(found: Mapping[str, Any]) -> Health:
    """Established is current; names that were not accepted are a failure."""
    conditions = conditions_of(found)
    names = conditions.get("NamesAccepted", {})
    if names.get("status") == "False":
        return failed(says(names))
    established = conditions.get("Established", {})
    if established.get("status") == "True":
        return CURRENT
    return in_progress(says(established) or "not established yet")


def api_service(found: Mapping[str, Any]) -> Health:
    """Available is current."""
    available = conditions_of(found).get("Available", {})
    return CURRENT if available.get("status") == "True" else in_progress(says(available) or "not available yet")
