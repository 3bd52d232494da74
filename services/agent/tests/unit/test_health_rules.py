"""Health rules of the app: what their answers mean, what a bad one costs, and the flow with them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from knarr.agent.adapters.cel import CelExpressions
from knarr.agent.core.health import CURRENT, Health, HealthStatus
from knarr.agent.core.rules import by_rule
from knarr.bundle.header import HealthRule
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import bench, config_map
from knarr.testkit.agent_hub import MemoryHub, bundle_of

THING = {
    "status": {
        "phase": "Ready",
        "count": 3,
        "conditions": [
            {"type": "Synced", "status": "True"},
            {"type": "Ready", "status": "False", "message": "no quota"},
        ],
    }
}


def judged(rule: HealthRule, found: dict[str, Any], base: Health = CURRENT, *, secret: bool = False) -> Health:
    return by_rule(rule, base, CelExpressions().about(found), secret=secret)


CASES: dict[str, tuple[HealthRule, HealthStatus, str]] = {
    "healthy": (HealthRule(healthy="object.status.phase == 'Ready'"), HealthStatus.CURRENT, ""),
    "not yet, with its own words": (
        HealthRule(healthy="object.status.count >= 5", message="'only ' + string(object.status.count)"),
        HealthStatus.IN_PROGRESS,
        "only 3",
    ),
    "a field that is not there yet": (
        HealthRule(healthy="object.status.url != ''"),
        HealthStatus.IN_PROGRESS,
        "not healthy yet by its rule in the app",
    ),
    "failed goes before healthy": (
        HealthRule(
            failed="object.status.conditions.exists(c, c.type == 'Ready' && c.status == 'False')",
            healthy="true",
            message="object.status.conditions.filter(c, c.type == 'Ready')[0].message",
        ),
        HealthStatus.FAILED,
        "no quota",
    ),
    "only a rule for failure: else as its kind says": (HealthRule(failed="false"), HealthStatus.CURRENT, ""),
    "failed needs a field that is not there": (
        HealthRule(failed="object.status.error.code == 1", healthy="true"),
        HealthStatus.CURRENT,
        "",
    ),
    "a macro over conditions": (
        HealthRule(healthy="object.status.conditions.all(c, c.type in ['Synced', 'Ready'])"),
        HealthStatus.CURRENT,
        "",
    ),
    "has": (HealthRule(healthy="!has(object.spec)"), HealthStatus.CURRENT, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_rule_says(case: str) -> None:
    rule, status, message = CASES[case]
    assert judged(rule, THING) == Health(status, message)


NESTED = "[1,2,3,4,5,6,7,8,9,10].all(a, " * 6 + "true" + ")" * 6
WRONG: dict[str, tuple[str, str]] = {
    "not CEL": ("object.status ==", "cannot be parsed"),
    "no truth value": ("object.status.count", "not true or false"),
    "too long": ("true || " * 400 + "true", "is longer than"),
    "endless": (NESTED, "takes more than"),
    "an unknown name": ("subject.status == 1", ""),
    "nested too deeply": ("(" * 600 + "true" + ")" * 600, ""),
    "a regular expression that is none": ("object.status.phase.matches('(')", ""),
    "division by nothing": ("1 / 0 == 1", ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_bad_rule_makes_the_object_unknown_and_nothing_worse(case: str) -> None:
    expression, said = WRONG[case]
    begun = time.monotonic()
    found = judged(HealthRule(healthy=expression), THING)
    assert found.status in (HealthStatus.UNKNOWN, HealthStatus.IN_PROGRESS)
    assert said in found.message
    if said:
        assert found.status is HealthStatus.UNKNOWN
    assert time.monotonic() - begun < 5


def test_an_object_on_its_way_out_is_terminating_whatever_the_rule() -> None:
    leaving = Health(HealthStatus.TERMINATING, "is being deleted")
    assert judged(HealthRule(healthy="true"), THING, leaving) == leaving


def test_a_rule_never_tells_a_secret() -> None:
    rule = HealthRule(healthy="false", message="object.data.password")
    assert "hunter2" not in judged(rule, {"data": {"password": "hunter2"}}, secret=True).message


def test_the_library_is_loaded_by_the_first_rule_only() -> None:
    code = "import sys, knarr.agent.main; print('celpy' in sys.modules, 'lark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# --- the flow ----------------------------------------------------------------------

READY = HealthRule(kind="ConfigMap", healthy="object.data.ready == 'yes'", message="'ready is ' + object.data.ready")


async def test_a_rule_decides_also_for_a_kind_that_has_no_health_of_its_own(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", ready="no"), namespace="shop", health_rules=(READY,)))
        await b.until(
            lambda: (
                (r := b.hub.app("shop")) is not None
                and [(o.object_id, o.message) for o in r.unhealthy] == [("/ConfigMap/shop/a", "ready is no")]
            )
        )
        assert (r := b.hub.app("shop")) is not None
        assert r.state is AppState.PROGRESSING
        apps = b.assign(bundle_of("shop", config_map("a", ready="yes"), namespace="shop", health_rules=(READY,)))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)


async def test_a_rule_that_comes_or_changes_later_judges_what_is_there_already(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        never = HealthRule(kind="ConfigMap", failed="object.data.ready == 'no'")
        b.assign(bundle_of("shop", config_map("a", ready="no"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        apps = b.assign(bundle_of("shop", config_map("a", ready="no"), namespace="shop", health_rules=(READY,)))
        await b.state("shop", AppState.PROGRESSING, apps["shop"].digest)
        apps = b.assign(bundle_of("shop", config_map("a", ready="no"), namespace="shop", health_rules=(never,)))
        await b.state("shop", AppState.DEGRADED, apps["shop"].digest)
        apps = b.assign(bundle_of("shop", config_map("a", ready="no"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)


async def test_a_rule_is_for_its_own_app_only(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(
            bundle_of("shop", config_map("a", ready="no"), namespace="shop", health_rules=(READY,)),
            bundle_of("other", config_map("b", ready="no"), namespace="shop"),
        )
        await b.state("other", AppState.HEALTHY)
        await b.state("shop", AppState.PROGRESSING)


async def test_a_rule_holds_across_a_restart(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", ready="yes"), namespace="shop", health_rules=(READY,), heal=False))
        await b.state("shop", AppState.HEALTHY)
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)
    never = MemoryHub("c1")
    async with bench(tmp_path, never, generation=1) as b:
        await b.state("shop", AppState.HEALTHY)
        b.cluster.objects.update(("", "ConfigMap", "shop", "a"), {"data": {"ready": "no"}}, manager="somebody")
        await b.until(lambda: (r := b.hub.app("shop")) is not None and r.unhealthy != ())


async def test_a_bad_rule_is_told_with_its_number(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        bad = HealthRule(kind="ConfigMap", healthy="object.data.ready ==")
        b.assign(bundle_of("shop", config_map("a"), namespace="shop", health_rules=(bad,)))
        await b.state("shop", AppState.DEGRADED)
        report = b.hub.app("shop")
        assert report is not None
        assert [(f.code, f.object_id) for f in report.failures] == [("KNR4042", "/ConfigMap/shop/a")]
