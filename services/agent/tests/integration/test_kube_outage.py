"""The replay of a hub outage with an agent restart inside it, as `benchmarks/outage.py` prints it, compressed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kube
SCRIPT = Path(__file__).parents[4] / "benchmarks" / "outage.py"


async def test_a_hub_outage_with_a_restart_and_hands_inside_it() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SCRIPT), "--minutes", "0.15", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 110)
    assert process.returncode == 0, f"{out.decode()}\n{err.decode()[-3000:]}"
    figures = json.loads(out.splitlines()[-1])
    assert figures["edits"] >= 10
    assert figures["drift_told"] >= min(20, figures["edits"])
    assert figures["healed_worst_s"] < 5
