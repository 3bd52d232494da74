"""A cluster's plan for one app, as people read it. Pure; the words in it are the agent's: shown, never obeyed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click

from knarr.cli.tables import clean
from knarr.pipeline.names import object_words

_MARKS = {
    "create": ("+", "green"),
    "adopt": ("+", "green"),
    "configure": ("~", "yellow"),
    "recreate": ("!", "red"),
    "prune": ("-", "red"),
    "hook": (">", "cyan"),
    "wait": (".", None),
    "skip": ("x", "magenta"),
    "unchanged": ("=", None),
}
_DELETES = ("prune", "recreate")


def plan_text(plan: dict[str, Any], *, everything: bool = False) -> str:
    """The summary, then the steps in their order; unchanged objects and waits only with `everything`."""
    counts = Counter(step["action"] for step in plan["steps"])
    summary = ", ".join(f"{counts[action]} to {action}" for action in _MARKS if counts[action] and action in _ACTS)
    told = summary or "nothing to do"
    if counts["unchanged"]:
        told += f" ({counts['unchanged']} unchanged)"
    lines = [click.style(f"{clean(plan['app'])}  {plan['digest'][:12]}: {told}", bold=True)]
    for step in plan["steps"]:
        if everything or step["action"] in _ACTS:
            lines += _step(step)
    if plan.get("steps_left_out"):
        lines.append(f"  … and {plan['steps_left_out']} steps more")
    lines += [click.style(f"  {f['code']} {clean(f['message'])}", fg="red") for f in plan["failures"]]
    return "\n".join(lines)


_ACTS = tuple(action for action in _MARKS if action not in ("unchanged", "wait"))


def _step(step: dict[str, Any]) -> list[str]:
    mark, colour = _MARKS.get(step["action"], ("?", None))
    text = f"  {mark} {clean(step['action']):<9} {clean(object_words(step['object']))}"
    if step["reason"]:
        text += f"  ({clean(step['reason'])})"
    lines = [click.style(text, fg=colour, bold=step["action"] in _DELETES)]
    return lines + [f"      {clean(difference)}" for difference in step["differences"]]
