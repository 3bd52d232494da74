"""What an agent says that it would do, as the API shows it. The agent masked the values; its words are cleaned here."""

from __future__ import annotations

import json
from typing import Any

from knarr.pipeline.report import PlanReport
from knarr.status.core.projection import failures_json
from knarr.status.core.text import clean

_MOST_STEPS = 5_000
_MOST_DIFFERENCES = 100


def planned(command_id: str, report: PlanReport | None) -> dict[str, Any]:
    """The answer to that command; only `answered: false` while the newest plan of the cluster answers another one."""
    if report is None or report.request_id != command_id:
        return {"command_id": command_id, "answered": False}
    return {
        "command_id": command_id,
        "answered": True,
        "app": clean(report.app, 63),
        "digest": report.digest.hex(),
        "answered_at_ms": report.answered_at_ms,
        "steps": [
            {
                "action": step.action.value,
                "object": clean(step.object_id, 600),
                "stage": step.stage,
                "reason": clean(step.reason, 500),
                "differences": [clean(d, 500) for d in step.differences[:_MOST_DIFFERENCES]],
            }
            for step in report.steps[:_MOST_STEPS]
        ],
        "steps_left_out": max(0, len(report.steps) - _MOST_STEPS),
        "failures": json.loads(failures_json(report.failures)),
    }
