"""The limits on deletions are the cluster owner's: from the environment, or from a host's line."""

from __future__ import annotations

import json

import pytest

from knarr.agent.settings import from_environment, from_line
from knarr.bundle.budget import Budget
from knarr.pipeline.errors import KnarrError

BASE = {"KNARR_CLUSTER": "c1", "KNARR_NATS_URL": "nats://hub", "KNARR_TRUST_FILE": "/trust"}
LINE = {"cluster": "c1", "nats_url": "nats://hub", "trust_file": "/trust"}


def test_the_budget_of_the_environment() -> None:
    assert from_environment(BASE).budget == Budget()
    given = {
        "KNARR_BUDGET_SHARE": "0.05",
        "KNARR_BUDGET_AT_LEAST": "1",
        "KNARR_BUDGET_WINDOW_SECONDS": "3600",
        "KNARR_BUDGET_HOLD_REMOVAL": "false",
        "KNARR_BUDGET_HOLD_PROTECTED": "no",
    }
    loose = Budget(share=0.05, at_least=1, window_seconds=3600.0, hold_removal=False, hold_protected=False)
    assert from_environment({**BASE, **given}).budget == loose


def test_a_wrong_budget_is_told_with_everything_that_is_wrong_of_it() -> None:
    wrong = {"SHARE": "1.5", "AT_LEAST": "0", "WINDOW_SECONDS": "nan", "HOLD_REMOVAL": "perhaps"}
    with pytest.raises(KnarrError) as refused:
        from_environment({**BASE, **{f"KNARR_BUDGET_{name}": value for name, value in wrong.items()}})
    assert refused.value.code == "KNR6001"
    assert all(f"KNARR_BUDGET_{name}" in refused.value.message for name in wrong)


def test_the_budget_of_a_host_s_line() -> None:
    assert from_line(json.dumps(LINE)).budget == Budget()
    line = {**LINE, "budget": {"share": 0.5, "hold_removal": False}}
    assert from_line(json.dumps(line)).budget == Budget(share=0.5, hold_removal=False)
    for wrong in ({"share": 2}, {"at_least": 0}, {"window_seconds": -1}, {"anything": 1}, [1]):
        with pytest.raises(KnarrError) as refused:
            from_line(json.dumps({**LINE, "budget": wrong}))
        assert refused.value.code == "KNR6001"
