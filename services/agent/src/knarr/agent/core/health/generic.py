"""Kinds that nobody wrote a rule for: their conditions, as kstatus and Crossplane mean them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.agent.core.health.value import CURRENT, Health, conditions_of, failed, in_progress, says, unobserved

_READY = ("Ready", "Available", "Programmed", "Healthy")


def by_conditions(found: Mapping[str, Any]) -> Health:
    """Stalled is failed; Reconciling or a Ready that is not True is in progress; no condition at all is current."""
    if unobserved(found):
        return in_progress("its controller has not seen the newest generation")
    conditions = conditions_of(found)
    if _is(conditions, "Stalled", "True"):
        return failed(says(conditions["Stalled"]))
    if _is(conditions, "Reconciling", "True"):
        return in_progress(says(conditions["Reconciling"]))
    for name in ("Synced", *_READY):
        if name in conditions and conditions[name].get("status") != "True":
            return in_progress(says(conditions[name]) or f"{name} is {conditions[name].get('status')}")
    return CURRENT


def _is(conditions: Mapping[str, Mapping[str, Any]], name: str, status: str) -> bool:
    return name in conditions and conditions[name].get("status") == status
