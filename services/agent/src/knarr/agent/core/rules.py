"""Health by an app's own rule: what its answers mean. Evaluating expressions is an adapter's part.

A rule that needs a field which is not there yet says nothing yet; a rule that is wrong makes the object Unknown.
"""

from __future__ import annotations

from collections.abc import Callable

from knarr.agent.core.health import CURRENT, Health, HealthStatus
from knarr.agent.core.health.value import failed, in_progress
from knarr.bundle.header import HealthRule
from knarr.pipeline.errors import KnarrError, rejected

_MAX_MESSAGE = 300


class NotThereYet(Exception):
    """The expression needs a field that the object does not have."""


Ask = Callable[[str], object]


def by_rule(rule: HealthRule, base: Health, ask: Ask, *, secret: bool = False) -> Health:
    """The health by the rule; `base` by the rules for the kind, where this one asks nothing.

    `ask` evaluates an expression on the object: NotThereYet, or KNR4042. A Secret's rule may not say a message (I9).
    """
    if base.status is HealthStatus.TERMINATING:
        return base
    try:
        if rule.failed and _holds(rule.failed, ask):
            return failed(_message(rule, ask, secret=secret) or "its rule in the app says that it has failed")
        if not rule.healthy:
            return base
        if _holds(rule.healthy, ask):
            return CURRENT
        return in_progress(_message(rule, ask, secret=secret) or "not healthy yet by its rule in the app")
    except KnarrError as error:
        return Health(HealthStatus.UNKNOWN, error.message)


def _holds(expression: str, ask: Ask) -> bool:
    try:
        answer = ask(expression)
    except NotThereYet:
        return False
    if not isinstance(answer, bool):
        raise rejected("KNR4042", f"{_short(expression)} gives {type(answer).__name__}, not true or false")
    return answer


def _message(rule: HealthRule, ask: Ask, *, secret: bool) -> str:
    if not rule.message or secret:
        return ""
    try:
        return str(ask(rule.message))[:_MAX_MESSAGE]
    except NotThereYet:
        return ""


def _short(expression: str) -> str:
    return repr(expression[:80])
