"""Jobs and CronJobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knarr.agent.core.health.value import CURRENT, Health, conditions_of, failed, in_progress, says


def job(found: Mapping[str, Any]) -> Health:
    """Complete is current. Unlike kstatus a started job is still in progress: hooks and waves wait for its end."""
    conditions = conditions_of(found)
    for name in ("Failed", "FailureTarget"):
        if conditions.get(name, {}).get("status") == "True":
            return failed(says(conditions[name]))
    if conditions.get("Complete", {}).get("status") == "True":
        return CURRENT
    if conditions.get("Suspended", {}).get("status") == "True":
        return CURRENT
    status = found.get("status") or {}
    done, wanted = status.get("succeeded") or 0, (found.get("spec") or {}).get("completions") or 1
    return in_progress(f"{done} of {wanted} completions, {status.get('failed') or 0} failed pods")


def cron_job(_found: Mapping[str, Any]) -> Health:
    """Being scheduled is all that is asked of it; its jobs are not the app's objects."""
    return CURRENT
