"""Changes → rows."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import asyncpg

from knarr.pipeline.codec import encode
from knarr.rollout.adapters.postgres import statements as sql
from knarr.rollout.core.changes import Changes, OutgoingAssignment, Place

V = TypeVar("V")


async def write(c: asyncpg.Connection, changes: Changes) -> None:
    """All of the changes, within the caller's transaction."""
    for writer in _WRITERS:
        await writer(c, changes)


async def _members(c: asyncpg.Connection, changes: Changes) -> None:
    rows = list(changes.members.values())
    if rows:
        await c.execute(
            sql.MEMBERS,
            [m.name for m in rows],
            [m.in_fleet for m in rows],
            [m.uid for m in rows],
            [m.sealing_key for m in rows],
            [m.signing_key for m in rows],
            [m.generation for m in rows],
            [json.dumps(dict(m.labels)) for m in rows],
            [m.told for m in rows],
            [m.told_ms for m in rows],
            [m.raised_ms for m in rows],
        )


async def _revisions(c: asyncpg.Connection, changes: Changes) -> None:
    named = [t.revision for t in changes.targets.values() if t is not None]
    revisions = {r.revision: r for r in (*changes.revisions, *named)}.values()
    if revisions:
        await c.execute(
            sql.REVISIONS, [r.revision for r in revisions], [r.app for r in revisions], [encode(r) for r in revisions]
        )
    if changes.indexes:
        await c.execute(sql.INDEXES, list(changes.indexes), [encode(i) for i in changes.indexes.values()])


async def _targets(c: asyncpg.Connection, changes: Changes) -> None:
    kept, dropped = _split(changes.targets)
    if kept:
        await c.execute(
            sql.TARGETS,
            [app for app, _ in kept],
            [t.source for _, t in kept],
            [t.revision.revision for _, t in kept],
            [t.released.revision if t.released else None for _, t in kept],
            [t.gone for _, t in kept],
            [t.held for _, t in kept],
            [t.judged_by.document().decode() if t.judged_by else None for _, t in kept],
            [t.judged_ms for _, t in kept],
            [json.dumps(t.waiting) for _, t in kept],
            [t.holds_told_ms for _, t in kept],
            [t.holds_untold for _, t in kept],
            [t.gone_in for _, t in kept],
        )
    if dropped:
        await c.execute(sql.DROP_TARGETS, dropped)


async def _placements(c: asyncpg.Connection, changes: Changes) -> None:
    kept, dropped = _split(changes.placements)
    if kept:
        refs = {p.ref.digest: encode(p.ref) for _, p in kept}
        await c.execute(
            sql.PLACEMENTS,
            *_places([place for place, _ in kept]),
            [refs[p.ref.digest] for _, p in kept],
            [p.revision for _, p in kept],
            [p.defer_prune for _, p in kept],
            [p.approved for _, p in kept],
            [p.agent_holds for _, p in kept],
            [p.protected for _, p in kept],
        )
    await _drop(c, "placements", dropped)


async def _removals(c: asyncpg.Connection, changes: Changes) -> None:
    kept, dropped = _split(changes.removals)
    if kept:
        await c.execute(
            sql.REMOVALS,
            *_places([place for place, _ in kept]),
            [r.since_generation for _, r in kept],
            [r.revision for _, r in kept],
            [r.digest for _, r in kept],
            [r.approved for _, r in kept],
            [r.agent_holds for _, r in kept],
            [r.protected for _, r in kept],
        )
    await _drop(c, "removals", dropped)


async def _left(c: asyncpg.Connection, changes: Changes) -> None:
    texts: dict[int, str] = {}  # clusters that lost the same share one mapping
    kept, dropped = _split({place: ids or None for place, ids in changes.left.items()})
    for _, ids in kept:
        if id(ids) not in texts:
            texts[id(ids)] = json.dumps(dict(ids))
    if kept:
        await c.execute(sql.LEFT, *_places([place for place, _ in kept]), [texts[id(ids)] for _, ids in kept])
    await _drop(c, "left_objects", dropped)
    kept_at, dropped = _split(changes.departed)
    if kept_at:
        await c.execute(sql.DEPARTED, *_places([place for place, _ in kept_at]), [at for _, at in kept_at])
    await _drop(c, "departed", dropped)


async def _grants(c: asyncpg.Connection, changes: Changes) -> None:
    kept, dropped = _split(changes.grants)
    if kept:
        await c.execute(
            sql.GRANTS,
            [app for app, _ in kept],
            [g.target for _, g in kept],
            [g.evidence for _, g in kept],
            [g.approved_ms for _, g in kept],
            [json.dumps({cluster: key.hex() for cluster, key in g.clusters.items()}) for _, g in kept],
        )
    if dropped:
        await c.execute(sql.DROP_GRANTS, dropped)
    rows = [(a.target, a.actor, a.reason, a.evidence) for a in changes.approvals]
    await c.executemany(sql.APPROVAL, rows)


async def _circumstances(c: asyncpg.Connection, changes: Changes) -> None:
    if changes.failing is not None:
        await c.execute(sql.CLEAR_FAILING)
        await c.executemany(sql.FAILING, [(a, sorted(f.clusters), f.source) for a, f in changes.failing.items()])
    if changes.progress:
        rows = sorted(changes.progress.items())
        values = [p for _, p in rows]
        await c.execute(
            sql.PROGRESS,
            [name for name, _ in rows],
            [p.commit for p in values],
            [p.facts for p in values],
            [p.digest for p in values],
        )
    if changes.guards is not None:
        guards = changes.guards
        await c.execute(
            sql.GUARDS, guards.settings.document().decode(), guards.before.document().decode(), guards.commit
        )


async def _outbox(c: asyncpg.Connection, changes: Changes) -> None:
    rows = list(changes.outgoing.values())
    if rows:
        await c.execute(
            sql.OUTGOING,
            [o.cluster for o in rows],
            [o.traceparent for o in rows],
            [o.spread_seconds for o in rows],
            [_questions(o) for o in rows],
        )
    for decision in changes.decisions:
        await c.execute(sql.DECISION, encode(decision))
    for answer in changes.answers:
        await c.execute(sql.ANSWER, answer.command_id, encode(answer))


_Writer = Callable[[asyncpg.Connection, Changes], Awaitable[None]]
_WRITERS: tuple[_Writer, ...] = (
    _members, _revisions, _targets, _placements, _removals, _left, _grants, _circumstances, _outbox,
)  # fmt: skip


def _questions(out: OutgoingAssignment) -> str:
    return json.dumps([encode(asked).hex() for asked in out.dry_runs])


def _split(rows: Mapping[Any, V | None]) -> tuple[list[tuple[Any, V]], list[Any]]:
    kept = [(key, value) for key, value in rows.items() if value is not None]
    return kept, [key for key, value in rows.items() if value is None]


def _places(places: list[Place]) -> tuple[list[str], list[str]]:
    return [app for app, _ in places], [cluster for _, cluster in places]


async def _drop(c: asyncpg.Connection, table: str, places: list[Place]) -> None:
    if places:
        await c.execute(sql.DROP[table], *_places(places))
