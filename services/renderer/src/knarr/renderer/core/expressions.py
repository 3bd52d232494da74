"""CEL expressions of an app's health rules, looked at before they leave Git: the agent evaluates them (agent/adapters).

Parsed by the agent's own library, imported only when there is a rule. What can be told without an object is told: that
it is no CEL, and that it asks for a name that no agent gives it.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from knarr.bundle.header import LONGEST_EXPRESSION

_SUBJECT = "object"
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_TYPES = frozenset(
    {
        "bool",
        "bytes",
        "double",
        "duration",
        "dyn",
        "int",
        "list",
        "map",
        "null_type",
        "string",
        "timestamp",
        "type",
        "uint",
    }
)
_LEVELS = 500
_FIELDS = ("healthy", "failed", "message")


def rule_faults(rules: object) -> Iterator[str]:
    """What is wrong with the expressions of `healthRules`, a line each."""
    for rule in rules if isinstance(rules, list) else ():
        given: Mapping[str, Any] = rule if isinstance(rule, dict) else {}
        for field in _FIELDS:
            if given.get(field) and (fault := _fault(str(given[field]))):
                yield f"healthRules: {field} {str(given[field])[:80]!r} {fault}"


def _fault(expression: str) -> str:
    if len(expression) > LONGEST_EXPRESSION:
        return f"is longer than {LONGEST_EXPRESSION} characters"
    import celpy  # seldom needed, and slow to import

    try:
        tree = _environment().compile(expression)
    except celpy.CELParseError as error:
        return "is no CEL" + (f": line {error.line}, column {error.column}" if error.line is not None else "")
    except RecursionError:
        return "is nested too deeply"
    if _is_deep(tree):
        return "is nested too deeply"
    names = {str(node.children[0]) for node in tree.find_data("ident")}
    bound = {name for node in tree.find_data("member_dot_arg") for name in _bound_by(node)}
    unknown = sorted(names - bound - _TYPES - {_SUBJECT})
    if not unknown:
        return ""
    near = difflib.get_close_matches(unknown[0], [_SUBJECT, *bound], n=1)
    return f"asks for {unknown[0][:40]!r}" + (f"; did you mean {near[0]!r}?" if near else "; only `object` is given")


def _is_deep(tree: Any) -> bool:
    """Whether evaluating could meet Python's bound on recursion. Every pair of brackets adds about ten levels."""
    level = [tree]
    for _ in range(_LEVELS):
        level = [child for node in level for child in getattr(node, "children", ())]
        if not level:
            return False
    return True


def _bound_by(node: Any) -> Iterator[str]:
    """The variable that a macro binds: `x` of `list.exists(x, …)`."""
    if len(node.children) == 3 and str(node.children[1]) in _MACROS:
        for expression in node.children[2].children[:1]:
            yield from (str(ident.children[0]) for ident in expression.find_data("ident"))


@cache
def _environment() -> Any:
    import celpy

    limit = sys.getrecursionlimit()
    try:
        return celpy.Environment()
    finally:
        sys.setrecursionlimit(limit)  # the library raises it for the whole process
