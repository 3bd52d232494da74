"""Volume claims and volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.agent.core.health.value import CURRENT, Health, failed, in_progress


def claim(found: Mapping[str, Any]) -> Health:
    """Bound is current. Lost is failed."""
    phase = (found.get("status") or {}).get("phase")
    if phase == "Bound":
        return CURRENT
    return failed("its volume is lost") if phase == "Lost" else in_progress(f"the claim is {phase or 'not bound yet'}")


def volume(found: Mapping[str, Any]) -> Health:
    """Anything but Failed will do."""
    status = found.get("status") or {}
    return failed(str(status.get("message") or "the volume failed")) if status.get("phase") == "Failed" else CURRENT
