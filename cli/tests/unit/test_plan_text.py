"""A plan as people read it."""

from __future__ import annotations

from typing import Any

import click
from hypothesis import given
from hypothesis import strategies as st

from knarr.cli.plans import plan_text


def _step(action: str, identity: str = "apps/Deployment/shop/web", **more: Any) -> dict[str, Any]:
    return {"action": action, "object": identity, "stage": 1, "reason": "", "differences": [], **more}


def _plan(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"app": "web", "digest": "ab" * 32, "steps": list(steps), "failures": [], **more}


def _text(plan: dict[str, Any], *, everything: bool = False) -> list[str]:
    return click.unstyle(plan_text(plan, everything=everything)).splitlines()


def test_nothing_to_do_is_one_line() -> None:
    assert _text(_plan(_step("unchanged"), _step("wait"))) == ["web  abababababab: nothing to do (1 unchanged)"]


def test_everything_shows_what_stays_too() -> None:
    assert len(_text(_plan(_step("unchanged"), _step("wait")), everything=True)) == 3


def test_steps_come_in_their_order_with_what_changes_and_why() -> None:
    plan = _plan(
        _step("configure", differences=["spec.replicas"]),
        _step("skip", "/Secret/shop/token", reason="KNR4022 somebody else's"),
        _step("prune", "/Namespace//old"),
        failures=[{"code": "KNR4031", "message": "protected objects would be deleted"}],
    )
    assert _text(plan) == [
        "web  abababababab: 1 to configure, 1 to prune, 1 to skip",
        "  ~ configure Deployment.apps shop/web",
        "      spec.replicas",
        "  x skip      Secret shop/token  (KNR4022 somebody else's)",
        "  - prune     Namespace old",
        "  KNR4031 protected objects would be deleted",
    ]


@given(st.text(), st.text(), st.text())
def test_the_agents_words_cannot_drive_the_terminal(identity: str, reason: str, difference: str) -> None:
    plan = _plan(_step("create", identity, reason=reason, differences=[difference]))
    lines = click.unstyle(plan_text(plan)).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)
