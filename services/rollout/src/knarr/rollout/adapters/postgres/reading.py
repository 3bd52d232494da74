"""Rows → state."""

from __future__ import annotations

import json
from dataclasses import replace

import asyncpg
from immutables import Map

from knarr.pipeline.assignment import DryRun
from knarr.pipeline.codec import decode
from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.revision import BundleRef, Index, RevisionRendered
from knarr.rollout.adapters.postgres import statements as sql
from knarr.rollout.core.changes import OutgoingAssignment
from knarr.rollout.core.guard import GuardSettings
from knarr.rollout.core.state import (
    Failing,
    FleetState,
    Grant,
    Guards,
    IndexView,
    Member,
    Placement,
    Progress,
    Removal,
    Target,
    assembled,
)
from knarr.rollout.ports import Unpublished


async def read_state(c: asyncpg.Connection) -> FleetState:
    """Everything; of revisions and indexes, those that something refers to."""
    revisions = {r["revision"]: decode(RevisionRendered, r["body"]) for r in await c.fetch(sql.TARGETED_REVISIONS)}
    targets = {r["app"]: _target(r, revisions) for r in await c.fetch("SELECT * FROM targets")}
    refs: dict[bytes, BundleRef] = {}
    placements = [(r["app"], r["cluster"], _placement(r, refs)) for r in await c.fetch("SELECT * FROM placements")]
    digests = {p.ref.digest for _, _, p in placements}
    digests |= {v.bundle.digest for r in revisions.values() for v in r.variants if v.bundle is not None}
    guards = await c.fetchrow("SELECT * FROM guards")
    plain = FleetState(
        members=Map({r["name"]: _member(r) for r in await c.fetch("SELECT * FROM members")}),
        targets=Map(targets),
        grants=Map({r["app"]: _grant(r) for r in await c.fetch("SELECT * FROM grants")}),
        progress=Map({r["source"]: _progress(r) for r in await c.fetch("SELECT * FROM progress")}),
        failing=Map({r["app"]: _failing(r) for r in await c.fetch("SELECT * FROM failing")}),
        indexes=Map(
            {
                r["digest"]: IndexView.of(decode(Index, r["body"]))
                for r in await c.fetch(sql.INDEX_DIGESTS, list(digests))
            }
        ),
        guards=_guards(guards) if guards is not None else Guards(),
    )
    removals = [(r["app"], r["cluster"], _removal(r)) for r in await c.fetch("SELECT * FROM removals")]
    shared: dict[str, dict[str, int]] = {}
    left = [
        (r["app"], r["cluster"], shared.setdefault(r["objects"], json.loads(r["objects"])))
        for r in await c.fetch("SELECT * FROM left_objects")
    ]
    departed = [(r["app"], r["cluster"], r["left_ms"]) for r in await c.fetch("SELECT * FROM departed")]
    return assembled(plain, placements, removals, left, departed)


async def read_unpublished(c: asyncpg.Connection) -> Unpublished:
    """What was committed and not yet marked as published."""
    outgoing = await c.fetch("SELECT * FROM outgoing ORDER BY cluster")
    decisions = await c.fetch("SELECT number, body FROM decisions WHERE NOT published ORDER BY number")
    answers = await c.fetch("SELECT body FROM answers WHERE NOT published ORDER BY answered_at, command_id")
    return Unpublished(
        outgoing=tuple(_outgoing(r) for r in outgoing),
        decisions=tuple(replace(decode(RolloutDecided, r["body"]), number=r["number"]) for r in decisions),
        answers=tuple(decode(CommandHandled, r["body"]) for r in answers),
    )


def _outgoing(row: asyncpg.Record) -> OutgoingAssignment:
    return OutgoingAssignment(
        cluster=row["cluster"],
        traceparent=row["traceparent"],
        spread_seconds=row["spread_seconds"],
        dry_runs=tuple(decode(DryRun, bytes.fromhex(asked)) for asked in json.loads(row["dry_runs"])),
    )


def _member(row: asyncpg.Record) -> Member:
    return Member(
        name=row["name"],
        in_fleet=row["in_fleet"],
        uid=row["uid"],
        sealing_key=row["sealing_key"],
        signing_key=row["signing_key"],
        generation=row["generation"],
        labels=json.loads(row["labels"]),
        told=row["told"],
        told_ms=row["told_ms"],
        raised_ms=row["raised_ms"],
    )


def _target(row: asyncpg.Record, revisions: dict[str, RevisionRendered]) -> Target:
    return Target(
        source=row["source"],
        revision=revisions[row["revision"]],
        released=revisions[row["released"]] if row["released"] else None,
        gone=row["gone"],
        gone_in=row["gone_in"],
        held=row["held"],
        judged_by=GuardSettings.of(row["judged_by"].encode()) if row["judged_by"] else None,
        judged_ms=row["judged_ms"],
        waiting=tuple(row["waiting"]),
        holds_told_ms=row["holds_told_ms"],
        holds_untold=row["holds_untold"],
    )


def _placement(row: asyncpg.Record, refs: dict[bytes, BundleRef]) -> Placement:
    """Placements of one bundle share its reference."""
    ref = refs.get(row["ref"]) or refs.setdefault(row["ref"], decode(BundleRef, row["ref"]))
    return Placement(
        ref=ref,
        revision=row["revision"],
        defer_prune=row["defer_prune"],
        approved=row["approved"],
        agent_holds=row["agent_holds"],
        protected=row["protected"],
    )


def _removal(row: asyncpg.Record) -> Removal:
    return Removal(
        since_generation=row["since_generation"],
        revision=row["revision"],
        digest=row["digest"],
        approved=row["approved"],
        agent_holds=row["agent_holds"],
        protected=row["protected"],
    )


def _grant(row: asyncpg.Record) -> Grant:
    clusters = {cluster: bytes.fromhex(key) for cluster, key in json.loads(row["clusters"]).items()}
    return Grant(target=row["target"], evidence=row["evidence"], approved_ms=row["approved_ms"], clusters=clusters)


def _failing(row: asyncpg.Record) -> Failing:
    return Failing(source=row["source"], clusters=frozenset(row["clusters"]))


def _guards(row: asyncpg.Record) -> Guards:
    return Guards(
        settings=GuardSettings.of(row["settings"].encode()),
        before=GuardSettings.of(row["before"].encode()),
        commit=row["commit_number"],
    )


def _progress(row: asyncpg.Record) -> Progress:
    return Progress(commit=row["commit_number"], facts=row["facts_number"], digest=row["digest"])
