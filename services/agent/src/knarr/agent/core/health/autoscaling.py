"""Autoscalers and disruption budgets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.agent.core.health.value import CURRENT, Health, conditions_of, failed, in_progress, says, unobserved

_HOPELESS = ("FailedGetScale", "InvalidSelector", "FailedUpdateScale", "InvalidMetricSourceType")


def horizontal(found: Mapping[str, Any]) -> Health:
    """Current once it can scale; a target that does not exist is a failure."""
    conditions = conditions_of(found)
    for condition in conditions.values():
        if condition.get("reason") in _HOPELESS:
            return failed(says(condition))
    able = conditions.get("AbleToScale", {})
    return (
        CURRENT if able.get("status") == "True" else in_progress(says(able) or "waits for its first scaling decision")
    )


def disruption_budget(found: Mapping[str, Any]) -> Health:
    """Current once its controller has seen it: how many pods may go is not its health."""
    return in_progress("its controller has not seen the newest generation") if unobserved(found) else CURRENT
