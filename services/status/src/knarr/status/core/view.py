"""Rows of the read model as the documents of the API (openapi.yaml). Pure; called by answer.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from knarr.status.core.held import SHORT, held_words
from knarr.status.core.standing import Standing
from knarr.status.core.timeline import commit_state, progress_of, stages

Row = Mapping[str, Any]
Document = dict[str, Any]
_NAMES = 5


def word(standing: int) -> str:
    """The word of a stored standing."""
    return Standing(standing).word


def hexadecimal(digest: bytes | None) -> str | None:
    """A digest as text; None when there is none."""
    return digest.hex() if digest else None


def cluster(row: Row, now_ms: int) -> Document:
    """One cluster of a list."""
    counts = row["counts"] or {}
    heard = row["heard_at_ms"]
    return {
        "name": row["name"],
        "stage": row["stage"],
        "standing": word(row["worst"]),
        "silent": row["silent"],
        "member": row["member"],
        "heard_at_ms": heard,
        "age_ms": None if heard is None else max(0, now_ms - heard),
        "first_heard_at_ms": row["first_heard_at_ms"],
        "labels": row["labels"],
        "apps": {word(int(k)): v for k, v in sorted(counts.items())},
        "generation_assigned": row["assigned_generation"],
        "generation_seen": row["generation_seen"],
        "generation_applied": row["generation_applied"],
        "kubernetes_version": row["kubernetes_version"],
        "agent_version": row["agent_version"],
        "agent_start_number": row["start_number"],
        "uid": row["uid"],
        "failures": row["failures"],
        "agent_clock_ms": row["reported_at_ms"],
    }


def placement(row: Row) -> Document:
    """One app in one cluster."""
    reported = hexadecimal(row["digest"])
    assigned = hexadecimal(row["assigned_digest"])
    return {
        "cluster": row["cluster"],
        "app": row["app"],
        "standing": word(row["standing"]),
        "state": row["state"] or "unreported",
        "message": row["message"],
        "digest": reported,
        "assigned_digest": assigned,
        "assigned_generation": row["assigned_generation"],
        "assigned_revision": row["assigned_revision"] or None,
        "assigned_at_ms": row["assigned_at_ms"],
        "generation": row["generation"],
        "revision": row["revision"],
        "commit": _commit_ref(row["source"], row["commit_number"], row["commit_sha"], row["commit_subject"]),
        "made_by": _commit_ref(row["source"], row["made_number"], row["made_sha"], None),
        "heard_at_ms": row["heard_at_ms"],
        "reached_at_ms": row["reached_at_ms"],
        "healthy_at_ms": row["healthy_at_ms"],
        "agent_since_ms": row["since_ms"],
        "agent_applied_at_ms": row["applied_at_ms"],
        "object_count": row["object_count"],
        "counts": row["counts"],
        "failures": located(row["failures"], row["origins"]),
        "unhealthy": located(row["unhealthy"], row["origins"]),
        "drift": located(row["drift"], row["origins"]),
        "adoptions": located(row["adoptions"], row["origins"]),
        "held_digests": row["held_digests"],
        "trace_id": trace_id(row["traceparent"]),
    }


def located(entries: Sequence[Document], origins: Mapping[str, str] | None) -> list[Document]:
    """What is said of objects, each with its file and line in Git where that is known."""
    known = origins or {}
    return [{**e, "origin": known.get(e.get("object", "")) or e.get("origin") or ""} for e in entries]


def trace_id(traceparent: str) -> str | None:
    """The trace of a traceparent; None when it names none."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else None


def _commit_ref(source: str | None, number: int | None, sha: str | None, subject: str | None) -> Document | None:
    if not source or not sha:
        return None
    return {"source": source, "number": number, "sha": sha, "short": sha[:7], "subject": subject or ""}


def app(row: Row, counts: Mapping[str, int], stages_of_app: Sequence[Document]) -> Document:
    """One app of a list, with its counts."""
    held = row["verdict"] == "held"
    return {
        "app": row["app"],
        "source": row["source"],
        "path": row["path"],
        "gone": row["gone"],
        "clusters": sum(counts.values()),
        "standings": dict(counts),
        "stages": list(stages_of_app),
        "revision": row["revision"] or None,
        "commit": _commit_ref(row["source"], row["commit_number"], row["commit_sha"], None),
        "rendered_at_ms": row["rendered_at_ms"],
        "verdict": row["verdict"] or None,
        "decided_revision": row["decided_revision"] or None,
        "decided_at_ms": row["decided_at_ms"],
        "held": _held(row["app"], row["decided_revision"], row, row["decision_clusters"]) if held else None,
        "waiting_clusters": row["waiting"] or [],
        "waits": waits(row["waiting"] or []),
        "decision_failures": row["decision_failures"] or [],
        "render_failures": row["render_failures"],
    }


def revision(row: Row) -> Document:
    """One revision with rollout's verdict on it."""
    verdict = row["verdict"]
    state = verdict
    if verdict == "held" and not row["current"]:
        state = "superseded"
    elif verdict in ("assigned", "removed") and row["held_since_ms"] is not None:
        state = "approved"
    return {
        "revision": row["revision"],
        "short": row["revision"][:SHORT],
        "app": row["app"],
        "state": state,
        "verdict": verdict,
        "current": row["current"],
        "decided_at_ms": row["decided_at_ms"],
        "held_since_ms": row["held_since_ms"],
        "clusters": row["clusters"],
        "commit": _commit_ref(row["source"], row["commit_number"], row["commit_sha"], row["subject"]),
        "author": row["author"],
        "url": row["url"],
        "path": row["path"],
        "rendered_at_ms": row["rendered_at_ms"],
        "reasons": row["reasons"],
        "losses": row["losses"],
        "failures": row["failures"],
        "variants": row["variants"],
        "waiting_clusters": row["waiting"],
        "waits": waits(row["waiting"]),
        "approval": {"actor": row["actor"], "reason": row["approval_reason"]} if row["actor"] else None,
        "held": _held(row["app"], row["revision"], row, row["clusters"])
        if row["losses"] or verdict == "held"
        else None,
    }


def waits(clusters: Sequence[str]) -> str:
    """Where an approved change waits, and why; empty where it does not."""
    if not clusters:
        return ""
    where = ", ".join(clusters[:_NAMES]) + (f" and {len(clusters) - _NAMES} more" if len(clusters) > _NAMES else "")
    return f"approved, waits in {where}: another app there did not render"


def _held(name: str, revision_id: str, row: Row, clusters: Sequence[str] | None) -> Document:
    words = held_words(
        name, revision_id, row["losses"] or [], row["commit_sha"] or "", row["source"] or "", len(clusters or ())
    )
    return {
        "revision": revision_id,
        "short": revision_id[:SHORT],
        "headline": words.headline,
        "since_ms": row["held_since_ms"],
        "objects": words.objects,
        "clusters": words.clusters,
        "removals": words.removals,
        "kinds": [{"kind": kind, "count": count} for kind, count in words.kinds],
        "reasons": row["reasons"] or [],
        "evidence": row["evidence"],
        "approve": words.approve,
        "revert": words.revert,
    }


def commit(row: Row, held: Sequence[str], dropped: Sequence[str], newest: bool) -> Document:
    """One commit with its way through the pipeline.

    `held`: apps of it that are held now; `dropped`: those that were, until something newer took their place.
    """
    progress = progress_of(row, len(held), len(dropped))
    return {
        "source": row["source"],
        "number": row["number"],
        "sha": row["sha"],
        "short": row["sha"][:7],
        "ref": row["ref"],
        "author": row["author"],
        "subject": row["subject"],
        "url": row["url"],
        "committed_at_ms": row["committed_at_ms"],
        "observed_at_ms": row["observed_at_ms"],
        "newest": newest,
        "state": commit_state(progress, newest).value,
        "stages": [
            {"stage": s.name, "started_at_ms": s.started_at_ms, "ended_at_ms": s.ended_at_ms, "seconds": s.seconds}
            for s in stages(progress)
        ],
        "changed": [o["app"] for o in row["touched"] if o["outcome"] == "revision"],
        "gone": [o["app"] for o in row["touched"] if o["outcome"] == "gone"],
        "failed": [{"app": o["app"], "code": o["code"]} for o in row["touched"] if o["outcome"] == "failed"],
        "held": list(held),
        "dropped": list(dropped),
        "unchanged": sum(1 for o in row["outcomes"] if o["outcome"] == "unchanged"),
        "deliveries": {
            "total": row["total"],
            "reached": row["reached"],
            "healthy": row["healthy"],
            "superseded": row["superseded"],
            "clusters": row["clusters"],
        },
        "snapshot": {
            "files": row["file_count"],
            "published_files": row["published_files"],
            "published_bytes": row["published_bytes"],
        },
        "render": {"renders": row["renders"], "cache_hits": row["cache_hits"], "blobs": row["blobs_published"]},
        "failures": row["failures"],
        "trace_id": row["trace_id"] or None,
    }


def commit_app(row: Row) -> Document:
    """One app of a commit: which clusters are there."""
    on, off = row["on_clusters"] or [], row["off_clusters"] or []
    return {
        "app": row["app"],
        "outcome": row["outcome"],
        "revision": row["revision"] or None,
        "code": row["code"] or None,
        "verdict": row["verdict"],
        "reasons": row["reasons"] or [],
        "clusters": row["total"],
        "on": {"count": row["here"], "healthy": row["healthy"], "clusters": on, "more": row["here"] - len(on)},
        "off": {"count": row["total"] - row["here"], "clusters": off, "more": row["total"] - row["here"] - len(off)},
    }


def source(row: Row) -> Document:
    """One source: can it be read, and where is it."""
    return {
        "source": row["source"],
        "reachable": row["reachable"] if row["reported"] is not None else None,
        "failure": row["failure"],
        "since_ms": row["since_ms"],
        "checked_at_ms": row["checked_at_ms"],
        "url": row["url"] or "",
        "ref": row["ref"] or "",
        "apps": row["apps"],
        "commit": _commit_ref(row["source"], row["number"], row["sha"], row["subject"]),
        "author": row["author"] or "",
        "observed_at_ms": row["observed_at_ms"],
        "failures": row["commit_failures"] or [],
    }
