"""Every subject, in one place. Names are DNS labels (checked where they enter), so no token can hold a wildcard."""

from __future__ import annotations


def commit_subject(source: str) -> str:
    """SnapshotStored: the newest commit of a source."""
    return f"commit.{source}"


def commit_observed_subject(source: str) -> str:
    """CommitObserved: a ref moved; the snapshot follows."""
    return f"commit.{source}.observed"


def source_subject(source: str) -> str:
    """SourceReported: can the source be read?"""
    return f"source.{source}"


def missing_subject(source: str) -> str:
    """No message, only a word to the fetcher: something that the source's newest commit names is not stored."""
    return f"missing.{source}"


def facts_subject(cluster: str) -> str:
    """ClusterFacts."""
    return f"facts.{cluster}"


def revision_subject(app: str) -> str:
    """RevisionRendered: the newest revision of an app."""
    return f"revision.{app}"


def revision_failed_subject(app: str) -> str:
    """RenderFailed: the newest failure of an app."""
    return f"revision.{app}.failed"


def rendered_subject(source: str) -> str:
    """CommitRendered: closes a commit."""
    return f"rendered.{source}"


def assignment_subject(cluster: str) -> str:
    """SignedAssignment: the newest intent for a cluster."""
    return f"assignment.{cluster}"


def hint_subject(cluster: str) -> str:
    """Republished from `assignment.<cluster>`: look again. Carries no authority."""
    return f"hint.{cluster}"


def report_cluster_subject(cluster: str) -> str:
    """ClusterReport."""
    return f"report.{cluster}.cluster"


def report_app_subject(cluster: str, app: str) -> str:
    """AppReport."""
    return f"report.{cluster}.app.{app}"


def report_plan_subject(cluster: str) -> str:
    """PlanReport."""
    return f"report.{cluster}.plan"


def decision_subject(source: str) -> str:
    """RolloutDecided."""
    return f"decision.{source}"


def handled_subject(command_id: str) -> str:
    """CommandHandled."""
    return f"handled.{command_id}"


def command_subject(verb: str) -> str:
    """Command."""
    return f"command.{verb}"


def event_subject(kind: str) -> str:
    """EventRecorded."""
    return f"event.{kind}"


def dead_letter_subject(service: str) -> str:
    """DeadLetter."""
    return f"dead.{service}"


def chunk_subjects(prefix: str, address: bytes, count: int) -> tuple[str, ...]:
    """Where sealed bytes lie: `<prefix>.<hex>` for one chunk, `<prefix>.<hex>.<n>` for several."""
    if count <= 1:
        return (f"{prefix}.{address.hex()}",)
    return tuple(f"{prefix}.{address.hex()}.{n}" for n in range(count))
