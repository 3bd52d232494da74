"""Puts the question of explain.py together from the rows that answer.py read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knarr.status.core.explain import Question
from knarr.status.core.standing import Standing
from knarr.status.core.view import located

Row = Mapping[str, Any]


def question(
    cluster: str, app: str, now_ms: int, clusters: Sequence[Row], wanted: Sequence[Row], placements: Sequence[Row]
) -> Question:
    """At most one row each."""
    known: dict[str, Any] = {"cluster": cluster, "app": app, "now_ms": now_ms}
    known |= {"cluster_known": bool(clusters), "app_known": bool(wanted)}
    if clusters:
        known |= {name: clusters[0][name] for name in ("silent", "heard_at_ms", "generation_seen")}
    if wanted:
        known |= _of_commit(wanted[0])
    if placements:
        known |= _of_placement(placements[0])
    return Question(**known)


def _of_commit(row: Row) -> dict[str, Any]:
    return {
        "commit": (row["sha"] or "")[:7],
        "rendered": row["rendered_at_ms"] is not None or bool(row["revision"]),
        "decided": row["decided_at_ms"] is not None,
        "outcome": row["outcome"] or "",
        "revision": row["revision"] or "",
        "revision_known": row["revision_known"],
        "wanted": row["wanted_digest"],
        "verdict": row["revision_verdict"] or "",
        "reasons": row["reasons"] or (),
        "render_failures": row["render_failures"] or (),
        "verdict_failures": row["verdict_failures"] or (),
    }


def _of_placement(row: Row) -> dict[str, Any]:
    standing = Standing(row["standing"])
    return {
        "standing": standing,
        "digest": row["digest"],
        "assigned": row["assigned_digest"],
        "assigned_generation": row["assigned_generation"],
        "assigned_at_ms": row["assigned_at_ms"],
        "since_at_ms": row["healthy_at_ms"] if standing is Standing.HEALTHY else row["reached_at_ms"],
        "message": row["message"],
        "failures": located(row["failures"], row["origins"]),
    }
