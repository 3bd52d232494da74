"""What is recorded and not yet told (Outbox), and operator commands (CommandStore)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from knarr.pipeline.decision import Command
from knarr.pipeline.names import REPORTED_LABEL_PREFIX
from knarr.pipeline.revision import ClusterFacts
from knarr.status.adapters.postgres.database import Database
from knarr.status.adapters.postgres.statements import statement
from knarr.status.adapters.postgres.telling import notify
from knarr.status.core.rows import EventRow


class PostgresOutbox:
    """Outbox over one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unpublished_events(self, limit: int) -> Sequence[EventRow]:
        """Oldest first."""
        async with self._database.connection() as connection:
            return [EventRow(**dict(r)) for r in await connection.fetch(statement("unpublished_events"), limit)]

    async def events_published(self, event_ids: Sequence[str]) -> None:
        """They are told."""
        async with self._database.transaction() as connection:
            await connection.execute(statement("events_published"), list(event_ids))

    async def unpublished_facts(self, limit: int, told_before_ms: int) -> Sequence[ClusterFacts]:
        """Clusters whose facts are new or changed, and were not told since then: the newest of each."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(statement("unpublished_facts"), limit, told_before_ms)
            return [_facts(dict(r)) for r in rows]

    async def facts_published(self, facts: Sequence[ClusterFacts], now_ms: int) -> None:
        """They are told; those that changed meanwhile stay untold."""
        async with self._database.transaction() as connection:
            await connection.execute(
                statement("facts_published"),
                [f.cluster for f in facts],
                [f.cluster_uid for f in facts],
                [f.kubernetes_version for f in facts],
                [json.dumps({REPORTED_LABEL_PREFIX + k: v for k, v in f.reported_labels.items()}) for f in facts],
                [json.dumps(f.capabilities if f.capabilities_known else None) for f in facts],
                now_ms,
            )

    async def republish_facts(self, told: int) -> int:
        """All facts are told again if more are known than the stream holds; how many."""
        async with self._database.transaction() as connection:
            done = await connection.execute(statement("republish_facts"), told)
        return int(done.rpartition(" ")[2])


class PostgresCommands:
    """CommandStore over one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_command(self, command: Command) -> None:
        """Before it is published, so that the audit has it whatever comes of it."""
        async with self._database.transaction() as connection:
            await connection.execute(
                statement("insert_command"), command.command_id, command.verb.value, command.revision, command.cluster,
                command.app, command.actor, command.reason, command.asked_at_ms,
            )  # fmt: skip

    async def record_handled(self, command_id: str, accepted: bool, failure_json: str | None, at_ms: int) -> None:
        """Rollout's answer; to a command of somebody else it changes nothing."""
        async with self._database.transaction() as connection:
            await connection.execute(statement("command_handled"), command_id, accepted, failure_json, at_ms)
            await notify(connection, {"commands"}, [])

    async def handled(self, command_id: str) -> tuple[bool, Any] | None:
        """(accepted, failure), or None while there is no answer."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(statement("read_command"), command_id)
        if row is None or row["accepted"] is None:
            return None
        return row["accepted"], row["failure"]


def _facts(row: dict[str, Any]) -> ClusterFacts:
    labels = {k.removeprefix(REPORTED_LABEL_PREFIX): v for k, v in row["reported_labels"].items()}
    return ClusterFacts(
        cluster=row["cluster"],
        cluster_uid=row["cluster_uid"],
        kubernetes_version=row["kubernetes_version"],
        reported_labels=labels,
        capabilities=tuple(row["capabilities"] or ()),
        capabilities_known=row["capabilities"] is not None,
        enrolled_at_ms=row["enrolled_at_ms"],
    )
