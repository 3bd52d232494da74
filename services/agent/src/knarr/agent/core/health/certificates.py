"""cert-manager's kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.agent.core.health.generic import by_conditions
from knarr.agent.core.health.value import Health, conditions_of, in_progress, says


def ready(found: Mapping[str, Any]) -> Health:
    """Ready is current; without a condition its controller has not come to it yet. A refused order is tried again."""
    conditions = conditions_of(found)
    if "Ready" not in conditions:
        return in_progress("waits for its controller")
    issuing = conditions.get("Issuing", {})
    if issuing.get("reason") == "Failed" and conditions["Ready"].get("status") != "True":
        return in_progress(says(issuing))
    return by_conditions(found)
