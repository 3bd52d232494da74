"""*Why is this cluster not on this commit?* in one sentence, from the same rows as the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from knarr.status.core.freshness import age
from knarr.status.core.held import SHORT
from knarr.status.core.standing import Standing

Failures = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that the read model knows of one app in one cluster against one commit. Empty or None: not known."""

    cluster: str
    app: str
    now_ms: int
    # the cluster
    cluster_known: bool = True
    silent: bool = False
    heard_at_ms: int | None = None
    generation_seen: int = 0
    # the commit and what it names
    app_known: bool = True
    commit: str = ""
    rendered: bool = False
    decided: bool = False
    outcome: str = ""
    revision: str = ""
    revision_known: bool = False
    wanted: bytes | None = None
    verdict: str = ""
    reasons: Failures = field(default=())
    render_failures: Failures = field(default=())
    verdict_failures: Failures = field(default=())
    # the placement
    standing: Standing | None = None
    digest: bytes | None = None
    assigned: bytes | None = None
    assigned_generation: int | None = None
    assigned_at_ms: int | None = None
    since_at_ms: int | None = None
    message: str = ""
    failures: Failures = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`there`: the cluster is on the commit for the app. `next_step` may be empty."""

    there: bool
    sentence: str
    code: str = ""
    next_step: str = ""


_STANDS = {
    Standing.WAITING: "it has been waiting",
    Standing.PROGRESSING: "it has been progressing",
    Standing.HELD: "its agent has held it",
    Standing.DRIFTED: "it has drifted",
    Standing.DEGRADED: "it has been degraded",
    Standing.FAILED: "some of it has failed",
}


def explain(q: Question) -> Explanation:
    """The first reason that holds, from the commit's side to the cluster's."""
    for reason in (_unknown, _there, _not_rendered, _not_decided, _refused, _silent, _on_its_way):
        found = reason(q)
        if found is not None:
            return found
    return Explanation(there=False, sentence=f"{q.cluster} reports another version of {q.app} than {q.commit} names.")


def _unknown(q: Question) -> Explanation | None:
    if not q.cluster_known:
        return _no(f"No cluster named {q.cluster} is known.", "KNR5020")
    if not q.app_known:
        return _no(f"No app named {q.app} is known.", "KNR5020")
    if not q.commit:
        return _no(f"No commit with {q.app} has been seen yet.")
    return None


def _there(q: Question) -> Explanation | None:
    if q.wanted is None or q.digest != q.wanted or q.silent:
        return None
    since = f" for {age(q.now_ms - q.since_at_ms)}" if q.since_at_ms else ""
    if q.standing is Standing.HEALTHY:
        return Explanation(there=True, sentence=f"{q.cluster} is on {q.commit} for {q.app}, healthy{since}.")
    first = _first(q.failures)
    why = first or q.message
    stands = _STANDS.get(q.standing or Standing.UNKNOWN, "its state is unknown")
    return Explanation(
        there=True,
        sentence=f"{q.cluster} has {q.commit} of {q.app}, but {stands}{since}" + (f": {_dot(why)}" if why else "."),
        code=_code(q.failures),
        next_step=_next(q.failures),
    )


def _not_rendered(q: Question) -> Explanation | None:
    if not q.rendered:
        return _no(f"{q.commit} is still being rendered.")
    if q.outcome == "failed":
        first = _first(q.render_failures)
        return Explanation(
            there=False,
            sentence=f"{q.app} did not render in {q.commit}"
            + (f": {_dot(first)}" if first else ".")
            + " The last good revision stays.",
            code=_code(q.render_failures),
            next_step=_next(q.render_failures),
        )
    if q.outcome == "gone":
        return _no(f"{q.commit} no longer has {q.app}.")
    if q.revision_known and q.wanted is None:
        return _no(f"{q.app} does not target {q.cluster} in {q.commit}.")
    return None


def _not_decided(q: Question) -> Explanation | None:
    if not q.decided and not q.verdict:
        return _no(f"{q.commit} is rendered; rollout has not decided on it yet.")
    return None


def _refused(q: Question) -> Explanation | None:
    if q.verdict == "held":
        first = _first(q.reasons)
        return Explanation(
            there=False,
            sentence=f"{q.commit} of {q.app} is held by the guard" + (f": {_dot(first)}" if first else "."),
            code=_code(q.reasons),
            next_step=f"Revert it, or approve exactly this: knarr approve {q.revision[:SHORT]}",
        )
    if q.verdict in ("refused", "failed"):
        first = _first(q.verdict_failures) or _first(q.reasons)
        return Explanation(
            there=False,
            sentence=f"Rollout refused {q.commit} of {q.app}" + (f": {_dot(first)}" if first else "."),
            code=_code(q.verdict_failures) or _code(q.reasons),
            next_step=_next(q.verdict_failures),
        )
    return None


def _silent(q: Question) -> Explanation | None:
    if not q.silent:
        return None
    if q.heard_at_ms is None:
        return _no(f"{q.cluster} has never reported: no agent of that name has connected.", "KNR5010")
    last = age(q.now_ms - q.heard_at_ms)
    return Explanation(
        there=False,
        sentence=f"{q.cluster} has not been heard for {last}; it gets {q.commit} when its agent is back.",
        code="KNR5010",
        next_step="Look at the agent's log and at the network between.",
    )


def _on_its_way(q: Question) -> Explanation | None:
    if q.assigned is None:
        return _no(f"{q.app} is not assigned to {q.cluster}.")
    if q.wanted is not None and q.assigned != q.wanted:
        return _no(f"{q.cluster} was assigned another version of {q.app} than {q.commit} names.")
    if q.digest == q.assigned:
        return None
    first = _first(q.failures)
    ago = f" {age(q.now_ms - q.assigned_at_ms)} ago" if q.assigned_at_ms else ""
    if first:
        return Explanation(
            there=False,
            sentence=f"{q.cluster} could not take {q.commit} of {q.app}: {_dot(first)}",
            code=_code(q.failures),
            next_step=_next(q.failures),
        )
    generation = q.assigned_generation or 0
    seen = "its agent has seen it" if q.generation_seen >= generation > 0 else "its agent has not seen it yet"
    return _no(f"{q.commit} of {q.app} was assigned to {q.cluster}{ago} (generation {generation}); {seen}.")


def _no(sentence: str, code: str = "") -> Explanation:
    return Explanation(there=False, sentence=sentence, code=code)


def _first(failures: Failures) -> str:
    """The first failure's message, with its place in Git."""
    if not failures:
        return ""
    origin = failures[0].get("origin")
    return str(failures[0]["message"]).rstrip(".") + (f" ({origin})" if origin else "")


def _code(failures: Failures) -> str:
    return str(failures[0].get("code", "")) if failures else ""


def _next(failures: Failures) -> str:
    return str(failures[0].get("next_step", "")) if failures else ""


def _dot(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."
