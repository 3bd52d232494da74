"""CEL expressions by cel-python, under a budget of evaluation steps. Imported only when an app has a rule.

The library evaluates a syntax tree node by node in Python, so a count of nodes bounds any expression, nested macros
included; regular expressions are RE2's, in linear time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import celpy
import lark
from celpy.evaluation import Activation, CELEvalError, Evaluator

from knarr.agent.core.rules import NotThereYet
from knarr.bundle.header import LONGEST_EXPRESSION
from knarr.pipeline.errors import rejected

STEPS = 10_000
_KEPT = 200
_ABSENT = ("no such member", "no such key", "undeclared reference", "no such overload", "no such field")


class CelExpressions:
    """The `Expressions` port. Keeps up to two hundred parsed expressions."""

    def __init__(self) -> None:
        self._environment = celpy.Environment()
        self._parsed: dict[str, lark.Tree[lark.Token]] = {}

    def about(self, found: Mapping[str, Any]) -> Callable[[str], object]:
        """See the port."""
        converted: list[Any] = []

        def ask(expression: str) -> object:
            if not converted:
                converted.append(celpy.json_to_cel(dict(found)))
            return self._evaluated(expression, converted[0])

        return ask

    def _evaluated(self, expression: str, subject: Any) -> object:
        tree = self._tree(expression)
        activation = Activation(vars={"object": subject})
        try:
            return _plain(_Bounded(tree, activation, [STEPS]).evaluate())
        except _OverBudget:
            raise _wrong(expression, f"takes more than {STEPS} steps") from None
        except CELEvalError as error:
            said = str(error.args[0]) if error.args else ""
            if any(text in said for text in _ABSENT):
                raise NotThereYet from error
            raise _wrong(expression, "cannot be evaluated on this object") from error
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise _wrong(expression, f"cannot be evaluated: {type(error).__name__}") from error

    def _tree(self, expression: str) -> lark.Tree[lark.Token]:
        known = self._parsed.get(expression)
        if known is not None:
            return known
        if len(expression) > LONGEST_EXPRESSION:
            raise _wrong(expression, f"is longer than {LONGEST_EXPRESSION} characters")
        try:
            tree: lark.Tree[lark.Token] = self._environment.compile(expression)
        except celpy.CELParseError as error:
            where = f" at line {error.line}, column {error.column}" if error.line is not None else ""
            raise _wrong(expression, f"cannot be parsed{where}") from error
        except RecursionError as error:
            raise _wrong(expression, "is nested too deeply") from error
        if len(self._parsed) >= _KEPT:
            self._parsed.clear()
        self._parsed[expression] = tree
        return tree


class _OverBudget(BaseException):
    """Past every handler of the library."""


class _Bounded(Evaluator):  # type: ignore[misc]  # the library is not typed strictly
    """Counts each node that it visits, in macros too."""

    def __init__(self, tree: lark.Tree[lark.Token], activation: Activation, left: list[int]) -> None:
        super().__init__(tree, activation)
        self._left = left

    def visit(self, tree: lark.Tree[lark.Token]) -> Any:
        """One node."""
        self._left[0] -= 1
        if self._left[0] < 0:
            raise _OverBudget
        return super().visit(tree)

    def sub_evaluator(self, ast: lark.Tree[lark.Token]) -> Evaluator:
        """For the body of a macro: out of the same budget."""
        return _Bounded(ast, self.activation, self._left)


def _plain(value: Any) -> object:
    if isinstance(value, celpy.celtypes.BoolType):
        return bool(value)
    return str(value) if isinstance(value, celpy.celtypes.StringType) else value


def _wrong(expression: str, why: str) -> Exception:
    return rejected("KNR4042", f"the rule {expression[:80]!r} {why}")
