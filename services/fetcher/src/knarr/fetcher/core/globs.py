"""Globs over paths: `*` and `?` within one part, `**` over any number of parts; a folder's glob covers what is in it.

Matched without regular expressions, in time proportional to pattern times path, since both come from strangers.
"""

from __future__ import annotations

from collections.abc import Sequence


def covers(pattern: str, path: str) -> bool:
    """Whether the glob matches the path or a folder that holds it."""
    return _match_parts([p for p in pattern.split("/") if p], path.split("/"))


def _match_parts(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """`reachable[i]`: the parts seen so far may be matched by the pattern's first i parts."""
    reachable = _over_stars(pattern, {0})
    for part in path:
        if len(pattern) in reachable:
            return True
        following = {i for i in reachable if i < len(pattern) and pattern[i] == "**"}
        following |= {i + 1 for i in reachable if i < len(pattern) and pattern[i] != "**" and _match(pattern[i], part)}
        reachable = _over_stars(pattern, following)
    return len(pattern) in reachable


def _over_stars(pattern: Sequence[str], positions: set[int]) -> set[int]:
    found = set(positions)
    for i in positions:
        while i < len(pattern) and pattern[i] == "**":
            i += 1
            found.add(i)
    return found


def _match(pattern: str, text: str) -> bool:
    """One part. Falls back only to the last star, which is enough for stars."""
    at_pattern = at_text = 0
    star = resume = -1
    while at_text < len(text):
        if at_pattern < len(pattern) and pattern[at_pattern] == "*":
            star, resume = at_pattern, at_text
            at_pattern += 1
        elif at_pattern < len(pattern) and pattern[at_pattern] in ("?", text[at_text]):
            at_pattern += 1
            at_text += 1
        elif star >= 0:
            resume += 1
            at_pattern, at_text = star + 1, resume
        else:
            return False
    return pattern[at_pattern:].strip("*") == ""
