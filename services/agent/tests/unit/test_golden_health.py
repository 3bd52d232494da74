"""Every kind's health, by example: golden/health/<kind>/<case>.yaml holds an object and what is expected of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from knarr.agent.core.health import RULES, health_of
from knarr.bundle.canonical import group_of

GOLDEN = Path(__file__).parents[1] / "golden" / "health"
FILES = sorted(str(path.relative_to(GOLDEN)) for path in GOLDEN.glob("*/*.yaml"))


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((GOLDEN / name).read_text())
    return found


@pytest.mark.parametrize("name", FILES)
def test_health(name: str) -> None:
    golden = read(name)
    found = golden["object"]
    health = health_of(found, group_of(found["apiVersion"]), found["kind"])
    assert health.status.value == golden["expected"]["status"], health.message
    assert golden["expected"].get("says", "") in health.message
    if health.status.value != "Current":
        assert health.message


def test_every_rule_has_an_example_that_is_current_and_one_that_is_not() -> None:
    seen: dict[tuple[str, str], set[bool]] = {}
    for name in FILES:
        golden = read(name)
        found = golden["object"]
        kind = (group_of(found["apiVersion"]), found["kind"])
        seen.setdefault(kind, set()).add(golden["expected"]["status"] == "Current")
    for kind in RULES:
        assert True in seen.get(kind, set()), f"{kind} has no example that is current"
        if kind not in ALWAYS_CURRENT:
            assert False in seen[kind], f"{kind} has no example that is not current"


ALWAYS_CURRENT = {("networking.k8s.io", "Ingress"), ("batch", "CronJob")}
