"""Writes commits, revisions and decisions (IntentStore), and sources (SourceStore)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from operator import attrgetter

import asyncpg

from knarr.pipeline.names import FLEET_SOURCE
from knarr.status.adapters.postgres.database import Database, columns
from knarr.status.adapters.postgres.statements import statement
from knarr.status.adapters.postgres.telling import append_events, notify
from knarr.status.core.events import dropped_event, event, verdict_event
from knarr.status.core.position import Position
from knarr.status.core.rows import BundleRow, CommitRow, EventRow, RevisionRow, VariantRow
from knarr.status.ports import Decided, Rendered, SourceState


class PostgresIntent:
    """IntentStore and SourceStore over one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_snapshot(
        self, commit: CommitRow, stored_at_ms: int | None, sizes: tuple[int, int, int], trace_id: str
    ) -> None:
        """A commit that was observed and, with `stored_at_ms`, stored: (files, published bytes, published files)."""
        async with self._database.transaction() as connection:
            await _upsert_commit(connection, commit)
            if stored_at_ms is not None:
                await connection.execute(
                    statement("commit_stored"), commit.source, commit.number, stored_at_ms, *sizes, trace_id
                )
            await notify(connection, {"commits"}, [])

    async def record_revision(
        self, position: Position, revision: RevisionRow, variants: Sequence[VariantRow], bundles: Sequence[BundleRow]
    ) -> None:
        """A revision never changes, so only its first telling is written; which one is newest follows positions."""
        async with self._database.transaction() as connection:
            values = [getattr(revision, n) for n in _REVISION]
            if await connection.fetchval(statement("insert_revision"), *values) is not None:
                await connection.execute(
                    statement("outcome_of_commit"), revision.source, revision.commit_number, revision.app,
                    "revision", revision.revision, "",
                )  # fmt: skip
                await connection.executemany(
                    statement("insert_variant"),
                    [(revision.revision, v.digest, v.object_count, list(v.clusters), v.origins_json) for v in variants],
                )
                await connection.executemany(
                    statement("insert_bundle"),
                    [(b.digest, list(b.object_ids), list(b.protected_ids)) for b in sorted(bundles, key=_digest_of)],
                )
            await connection.execute(
                statement("app_rendered"),
                revision.app,
                revision.source,
                revision.path,
                *_place(position),
                revision.revision,
            )
            await notify(connection, {"revisions", "apps"}, [])

    async def record_failure(
        self, position: Position, app: str, commit: CommitRow | None, failures_json: str, told: EventRow
    ) -> None:
        """An app that did not render; its last good revision stays."""
        async with self._database.transaction() as connection:
            source, number, sha = (commit.source, commit.number, commit.sha) if commit else ("", None, "")
            if commit:
                await _upsert_commit(connection, commit)
                code = json.loads(failures_json)[0]["code"] if failures_json != "[]" else ""
                await connection.execute(statement("outcome_of_commit"), source, number, app, "failed", "", code)
            await connection.execute(
                statement("app_failed"), app, source, *_place(position), number, sha, failures_json
            )
            await append_events(connection, [told])
            await notify(connection, {"apps", "commits"}, [], [told])

    async def record_rendered(self, rendered: Rendered) -> None:
        """A closed commit: outcomes, members, and earlier failures that it ends."""
        commit, place = rendered.commit, _place(rendered.position)
        async with self._database.transaction() as connection:
            await _upsert_commit(connection, commit)
            news = await connection.fetchval(
                statement("commit_rendered"), commit.source, commit.number, *place, rendered.started_at_ms,
                rendered.ended_at_ms, rendered.renders, rendered.cache_hits, rendered.blobs_published,
                rendered.outcomes_json, rendered.failures_json, rendered.trace_id,
            )  # fmt: skip
            if news is None:
                return
            if rendered.apps:
                names, outcomes, revisions, codes, sources = (list(c) for c in zip(*rendered.apps, strict=True))
                await connection.execute(
                    statement("commit_apps"), commit.source, commit.number, names, outcomes, revisions, codes
                )
                gone = [o == "gone" for o in outcomes]
                await connection.execute(statement("apps_of_commit"), names, sources, gone)
                # An app with a revision and a code fails for some of its clusters.
                fine = [a for a, o, c in zip(names, outcomes, codes, strict=True) if o != "failed" and not c]
                await connection.execute(statement("clear_render_failures"), fine, *place)
            clusters = await _replace_members(connection, rendered.members, rendered.position)
            await notify(connection, {"commits", "apps"} | ({"clusters"} if clusters else set()), clusters)

    async def record_decision(self, decided: Decided) -> None:
        """A decision: its verdicts, what was assigned, and the deliveries that it began."""
        async with self._database.transaction() as connection:
            for commit in (decided.commit, decided.fleet_commit):
                if commit is not None:
                    await _upsert_commit(connection, commit)
            await _decision(connection, decided)
            events = [*await _verdicts(connection, decided), *decided.notices]
            clusters = await _assign(connection, decided)
            await append_events(connection, events)
            topics = {"commits", "decisions", "apps", "revisions"} | ({"clusters"} if clusters else set())
            await notify(connection, topics, clusters, events)

    async def record_source(self, state: SourceState) -> None:
        """Whether a source can be read; losing it and getting it back are events."""
        async with self._database.transaction() as connection:
            before = await connection.fetchval(statement("source_reachable"), state.source)
            await connection.execute(
                statement("upsert_source"), state.source, *_place(state.position), state.reachable,
                state.failure_json, state.since_ms, state.checked_at_ms,
            )  # fmt: skip
            events = _source_events(before, state)
            await append_events(connection, events)
            await notify(connection, {"sources"}, [], events)


_REVISION = ("revision", "app", "source", "commit_number", "commit_sha", "fleet_number", "facts_number",
             "rendered_at_ms", "path")  # fmt: skip
_digest_of = attrgetter("digest")


def _place(position: Position) -> tuple[int, int]:
    return position.stream_created, position.sequence


async def _upsert_commit(connection: asyncpg.Connection, c: CommitRow) -> None:
    await connection.execute(
        statement("upsert_commit"), c.source, c.number, c.sha, c.ref, c.author, c.subject, c.url, c.committed_at_ms,
        c.observed_at_ms,
    )  # fmt: skip


async def _replace_members(
    connection: asyncpg.Connection, members: Mapping[str, Mapping[str, str]] | None, position: Position
) -> list[str]:
    if members is None:
        return []
    names = sorted(members)
    labels = [json.dumps(dict(members[n]), sort_keys=True) for n in names]
    digest = hashlib.sha256("\n".join(f"{n} {t}" for n, t in zip(names, labels, strict=True)).encode()).digest()
    if await connection.fetchval(statement("fleet_is_news"), *_place(position), digest) is None:
        return []
    return [r["name"] for r in await connection.fetch(statement("replace_members"), names, labels)]


async def _decision(connection: asyncpg.Connection, d: Decided) -> None:
    commit = d.commit or d.fleet_commit
    source, number = (commit.source, commit.number) if commit else (FLEET_SOURCE, 0)
    await connection.execute(
        statement("insert_decision"), d.epoch, d.number, source, number, d.decided_at_ms, d.command_id,
        d.failures_json, list(d.detached), list(d.unenrolled), d.actor, d.reason,
    )  # fmt: skip
    await connection.execute(
        statement("commit_decided"),
        source,
        number,
        *_place(d.position),
        d.decided_at_ms,
        d.assigned_clusters,
        d.trace_id,
    )


async def _verdicts(connection: asyncpg.Connection, d: Decided) -> list[EventRow]:
    rows = d.verdicts
    cause = d.commit or d.fleet_commit
    source, number = (cause.source, cause.number) if cause else (FLEET_SOURCE, 0)
    found = await connection.fetch(statement("lock_verdicts"), [r.app for r in rows])
    before = {(r["app"], r["revision"]): r["verdict"] for r in found}
    holding = await connection.fetch(statement("held_before"), [r.app for r in rows])
    held = {r["app"]: r["decided_revision"] for r in holding}
    events: list[EventRow] = []
    for row in rows:
        place = _place(row.position)
        if row.revision:
            await connection.execute(
                statement("upsert_verdict"), row.app, row.revision, *place, row.verdict, row.decided_at_ms,
                row.command_id, list(row.clusters), row.reasons_json, row.losses_json, row.failures_json,
                row.variants_json, source, number, row.evidence, list(row.waiting),
            )  # fmt: skip
            await connection.execute(
                statement("app_decided"), row.app, *place, row.verdict, row.revision, row.decided_at_ms
            )
        reason = next(iter(json.loads(row.reasons_json)), {"message": "", "code": ""})
        told = verdict_event(before.get((row.app, row.revision)), row, reason["message"], reason["code"], d.actor)
        dropped = dropped_event(row.app, held.get(row.app, ""), row) if row.revision else None
        events += [e for e in (dropped, told) if e is not None]
    return events


async def _assign(connection: asyncpg.Connection, d: Decided) -> list[str]:
    if not d.assigned:
        return []
    names = ("cluster", "app", "digest", "generation", "revision", "assigned_at_ms")
    rows = columns(d.assigned, *map(attrgetter, names))
    commit = d.commit or d.fleet_commit
    source, number = (commit.source, commit.number) if commit else (FLEET_SOURCE, 0)
    written = await connection.fetch(statement("assign_placements"), *rows, *_place(d.position))
    begun = {(r["cluster"], r["app"]) for r in written if r["begins"]}
    deliveries = [a for a in d.assigned if (a.cluster, a.app) in begun and a.generation is not None]
    values = columns(deliveries, *map(attrgetter, ("cluster", "generation", "app", "digest", "assigned_at_ms")))
    await connection.execute(statement("assign_deliveries"), *values, source, number)
    return sorted({r["cluster"] for r in written})


def _source_events(before: bool | None, state: SourceState) -> list[EventRow]:
    if (before is None and state.reachable) or before == state.reachable:
        return []
    unique = f"{state.source}/{state.since_ms}/{state.position.sequence}"
    failure = json.loads(state.failure_json) if state.failure_json else {"message": "", "code": ""}
    kind, message = ("source-back", f"{state.source} can be read again")
    if not state.reachable:
        kind, message = "source-unreachable", f"{state.source}: {failure['message']}"
    return [event(kind, at_ms=state.checked_at_ms, message=message, unique=unique, code=failure.get("code", ""))]
