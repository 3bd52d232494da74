"""How an object is, by the rules for its kind or by those of the app that owns it.

One per agent; everything that looks at live objects looks through it. Expressions (and the library that evaluates
them) are loaded when the first app brings a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from knarr.agent.core.objects import Kind, Seen, seen_of, watched_in_full
from knarr.agent.core.rules import by_rule
from knarr.agent.ports import Expressions
from knarr.bundle.header import HealthRule
from knarr.pipeline.names import AppName

_SECRET = Kind("", "Secret")


class Judge:
    """`load` gives what evaluates expressions."""

    def __init__(self, load: Callable[[], Expressions]) -> None:
        self._load = load
        self._expressions: Expressions | None = None
        self._rules: dict[AppName, dict[Kind, HealthRule]] = {}

    def learn(self, app: AppName, rules: tuple[HealthRule, ...]) -> set[Kind]:
        """The app's rules are these from now on; the kinds of which objects may be judged otherwise than before."""
        before = self._rules.pop(app, {})
        after = {Kind(rule.group, rule.kind): rule for rule in rules}
        if after:
            self._rules[app] = after
        return {kind for kind in {*before, *after} if before.get(kind) != after.get(kind)}

    def in_full(self, kind: Kind) -> bool:
        """Whether metadata is not enough to judge objects of the kind."""
        return watched_in_full(kind) or any(kind in rules for rules in self._rules.values())

    def seen(self, found: Mapping[str, Any], kind: Kind) -> Seen:
        """What is kept of a live object."""
        seen = seen_of(found, kind)
        rule = self._rules.get(AppName(seen.owner), {}).get(kind)
        if rule is None:
            return seen
        if self._expressions is None:
            self._expressions = self._load()
        ask = self._expressions.about(found)
        return replace(seen, health=by_rule(rule, seen.health, ask, secret=kind == _SECRET))
