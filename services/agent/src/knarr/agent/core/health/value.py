"""The words of kstatus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class HealthStatus(Enum):
    """As kstatus has them."""

    CURRENT = "Current"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    NOT_FOUND = "NotFound"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Health:
    """A status, and the line that a person needs."""

    status: HealthStatus
    message: str = ""


CURRENT = Health(HealthStatus.CURRENT)


def in_progress(message: str) -> Health:
    """Not there yet."""
    return Health(HealthStatus.IN_PROGRESS, message)


def failed(message: str) -> Health:
    """Will not get there by itself."""
    return Health(HealthStatus.FAILED, message)


def status_of(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status; empty where a custom resource keeps something else there."""
    status = found.get("status")
    return status if isinstance(status, Mapping) else {}


def conditions_of(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The status conditions by type."""
    listed = status_of(found).get("conditions") or ()
    return {str(c.get("type")): c for c in listed if isinstance(c, Mapping)}


def unobserved(found: Mapping[str, Any]) -> bool:
    """Whether its controller has not seen the newest spec yet."""
    observed = status_of(found).get("observedGeneration")
    generation = (found.get("metadata") or {}).get("generation")
    return isinstance(observed, int) and isinstance(generation, int) and observed < generation


def says(condition: Mapping[str, Any]) -> str:
    """A condition's reason and message, for people."""
    return ": ".join(t for t in (str(condition.get("reason") or ""), str(condition.get("message") or "")) if t)[:500]
