"""A checked fake of rollout's `Store`, and the suite that makes it trustworthy: PostgreSQL passes the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import pytest
from immutables import Map

from knarr.pipeline.assignment import AssignedApp, DryRun
from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.errors import Retryable, retryable
from knarr.pipeline.revision import BundleRef, Index, IndexedObject, RevisionRendered, Variant
from knarr.pipeline.snapshot import Commit
from knarr.rollout.core.changes import NOTHING, Approved, Changes, OutgoingAssignment, applied
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
)
from knarr.rollout.ports import Store, Unpublished

Depose = Callable[[], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Rows:
    """What the fake keeps, as a database would, for every process that uses it."""

    state: FleetState = field(default_factory=FleetState)
    revisions: dict[str, RevisionRendered] = field(default_factory=dict)
    outgoing: dict[str, OutgoingAssignment] = field(default_factory=dict)
    decisions: list[RolloutDecided] = field(default_factory=list)
    answers: dict[str, CommandHandled] = field(default_factory=dict)
    published: set[int | str] = field(default_factory=set)
    term: int = 0


class MemoryStore:
    """Keeps everything in memory; `fail_next` makes the next transaction fail as a lost database would."""

    def __init__(self, rows: Rows | None = None) -> None:
        self.rows = rows or Rows()
        self.rows.term += 1
        self._term = self.rows.term
        self.fail_next: Exception | None = None

    def successor(self) -> MemoryStore:
        """The store of another process that leads from now on."""
        return MemoryStore(self.rows)

    async def load(self) -> FleetState:
        return self.rows.state

    async def commit(self, changes: Changes) -> None:
        await self.check_lead()
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        rows = self.rows
        rows.state = applied(rows.state, changes)
        for revision in (*changes.revisions, *(t.revision for t in changes.targets.values() if t)):
            rows.revisions.setdefault(revision.revision, revision)
        for cluster, out in changes.outgoing.items():
            known = rows.outgoing.get(cluster)
            rows.outgoing[cluster] = out if out.dry_runs or known is None else replace(out, dry_runs=known.dry_runs)
        for decision in changes.decisions:
            rows.decisions.append(replace(decision, number=len(rows.decisions) + 1))
        for answer in changes.answers:
            rows.answers.setdefault(answer.command_id, answer)

    async def unpublished(self) -> Unpublished:
        rows = self.rows
        return Unpublished(
            outgoing=tuple(sorted(rows.outgoing.values(), key=lambda o: o.cluster)),
            decisions=tuple(d for d in rows.decisions if d.number not in rows.published),
            answers=tuple(a for c, a in rows.answers.items() if c not in rows.published),
        )

    async def mark_published(self, published: Unpublished) -> None:
        await self.check_lead()
        for out in published.outgoing:
            self.rows.outgoing.pop(out.cluster, None)
        self.rows.published |= {d.number for d in published.decisions} | {a.command_id for a in published.answers}

    async def revision(self, revision: str) -> RevisionRendered | None:
        return self.rows.revisions.get(revision)

    async def answer(self, command_id: str) -> CommandHandled | None:
        return self.rows.answers.get(command_id)

    async def check_lead(self) -> None:
        if self._term != self.rows.term:
            raise retryable("KNR3042", "another process leads since")


class StoreConformance:
    """Subclass it with a `store` fixture, and `depose`: another process begins to lead."""

    async def test_a_fresh_store_is_empty(self, store: Store) -> None:
        assert await store.load() == FleetState()
        assert await store.unpublished() == Unpublished()

    async def test_what_was_committed_is_loaded(self, store: Store) -> None:
        await store.commit(_changes())
        state = await store.load()
        assert state == applied(FleetState(), _changes())
        assert state.members == Map({"c1": _MEMBER})
        assert state.targets == Map({"shop": _TARGET})
        assert state.placements == Map({"shop": Map({"c1": _PLACEMENT})})
        assert state.assigned == Map({"c1": Map({"shop": _PLACEMENT})})
        assert state.removals == Map({"old": Map({"c1": _REMOVAL})})
        assert state.left == Map({"c1": Map({"shop": {"/ConfigMap/shop/a": 7}})})
        assert state.departed == Map({"old": Map({"c1": 8})})
        assert state.grants == Map({"shop": _GRANT})
        assert state.guards == _GUARDS
        assert state.indexes == Map({_DIGEST: IndexView.of(_INDEX)})
        assert state.failing == Map({"broken": _FAILING})
        assert state.progress == Map({"fleet": Progress(commit=7, facts=3, digest=_DIGEST)})

    async def test_twice_equals_once(self, store: Store) -> None:
        await store.commit(_changes())
        before = await store.load()
        await store.commit(replace(_changes(), decisions=()))
        assert await store.load() == before

    async def test_none_deletes(self, store: Store) -> None:
        await store.commit(_changes())
        await store.commit(
            Changes(
                targets={"shop": None},
                placements={("shop", "c1"): None},
                removals={("old", "c1"): None},
                left={("shop", "c1"): {}},
                departed={("old", "c1"): None},
                grants={"shop": None},
                failing={},
            )
        )
        state = await store.load()
        empty = (state.targets, state.placements, state.removals, state.failing, state.left, state.departed)
        assert set(empty) == {Map()}
        assert (state.grants, state.assigned, state.leaving, state.signatures, state.deferred) == (Map(),) * 5

    async def test_nothing_changes_nothing(self, store: Store) -> None:
        await store.commit(_changes())
        before = await store.load()
        await store.commit(NOTHING)
        assert await store.load() == before

    async def test_the_outbox_holds_until_published(self, store: Store) -> None:
        await store.commit(_changes())
        waiting = await store.unpublished()
        assert waiting.outgoing == (_OUTGOING,)
        assert [d.epoch for d in waiting.decisions] == ["e1"]
        assert waiting.answers == (_ANSWER,)
        await store.mark_published(waiting)
        assert await store.unpublished() == Unpublished()
        assert await store.answer("c1") == _ANSWER

    async def test_a_question_that_has_not_gone_out_stays_asked(self, store: Store) -> None:
        await store.commit(_changes())
        await store.commit(Changes(outgoing={"c1": replace(_OUTGOING, traceparent="00-2", dry_runs=())}))
        assert (await store.unpublished()).outgoing == (replace(_OUTGOING, traceparent="00-2"),)

    async def test_a_command_is_answered_once(self, store: Store) -> None:
        await store.commit(_changes())
        await store.commit(Changes(answers=(replace(_ANSWER, accepted=False),)))
        assert await store.answer("c1") == _ANSWER
        assert await store.answer("c2") is None

    async def test_decisions_are_numbered_upwards(self, store: Store) -> None:
        await store.commit(_changes())
        await store.commit(_changes())
        first, second = (await store.unpublished()).decisions
        assert first.number < second.number

    async def test_a_revision_is_found_by_its_id(self, store: Store) -> None:
        await store.commit(_changes())
        assert await store.revision("r1") == _REVISION
        assert await store.revision("r2") is None

    async def test_a_write_of_an_older_leader_is_refused(self, store: Store, depose: Depose) -> None:
        await store.commit(_changes())
        await store.check_lead()
        before, waiting = await store.load(), await store.unpublished()
        await depose()
        for write in (
            store.commit(Changes(targets={"shop": None})),
            store.mark_published(waiting),
            store.check_lead(),
        ):
            with pytest.raises(Retryable, match="KNR3042"):
                await write
        assert (await store.load(), await store.unpublished()) == (before, waiting)


_DIGEST = bytes(range(32))
_REF = BundleRef(digest=_DIGEST, address=_DIGEST, plain_size=10, object_count=1, chunk_count=1, key_id="k")
_INDEX = Index(
    digest=_DIGEST,
    objects=(
        IndexedObject(object_id="/ConfigMap/shop/a", content_digest=b"x"),
        IndexedObject(object_id="batch/Job/shop/b", content_digest=b"x", hook=True),
    ),
)
_REVISION = RevisionRendered(
    app="shop",
    revision="r1",
    commit=Commit(source="fleet", number=7, sha="abc"),
    fleet_commit=Commit(source="fleet", number=7, sha="abc"),
    variants=(Variant(bundle=_REF, clusters=("c1",)),),
    indexes=(_INDEX,),
)
_STRICT = GuardSettings(max_lost_share=0.1, window_seconds=7200.0, hold_removal=False)
_TARGET = Target(
    source="fleet", revision=_REVISION, released=_REVISION, held=True, judged_by=_STRICT, judged_ms=5, waiting=("c1",),
    holds_told_ms=6, holds_untold=True, gone=True, gone_in=4,
)  # fmt: skip
_MEMBER = Member(
    name="c1", in_fleet=True, uid="u1", sealing_key=bytes(32), signing_key=b"s" * 32, generation=4,
    labels={"env": "dev"}, told="KNR3020", told_ms=9, raised_ms=10,
)  # fmt: skip
_PLACEMENT = Placement(ref=_REF, revision="r1", defer_prune=True, approved=True, protected=True, agent_holds=True)
_REMOVAL = Removal(since_generation=3, revision="r0", digest=_DIGEST, approved=True, protected=True, agent_holds=True)
_GRANT = Grant(target="r1", evidence=b"e" * 32, approved_ms=11, clusters={"c1": b"k" * 32})
_GUARDS = Guards(settings=_STRICT, before=GuardSettings(), commit=7)
_OUTGOING = OutgoingAssignment(
    cluster="c1",
    traceparent="00-1",
    spread_seconds=1.5,
    dry_runs=(DryRun(request_id="q", app=AssignedApp(app="shop", digest=_DIGEST), asked_at_ms=3),),
)
_FAILING = Failing(source="fleet", clusters=frozenset({"c1"}))
_ANSWER = CommandHandled(command_id="c1", accepted=True, handled_at_ms=12)


def _changes() -> Changes:
    return Changes(
        members={_MEMBER.name: _MEMBER},
        targets={"shop": _TARGET},
        placements={("shop", "c1"): _PLACEMENT},
        removals={("old", "c1"): _REMOVAL},
        left={("shop", "c1"): {"/ConfigMap/shop/a": 7}},
        departed={("old", "c1"): 8},
        grants={"shop": _GRANT},
        guards=_GUARDS,
        revisions=(_REVISION,),
        indexes={_DIGEST: _INDEX},
        approvals=(Approved(target="r1", actor="ann", reason="checked", evidence=b"e" * 32),),
        failing={"broken": _FAILING},
        progress={"fleet": Progress(commit=7, facts=3, digest=_DIGEST)},
        outgoing={"c1": _OUTGOING},
        decisions=(RolloutDecided(epoch="e1", commit=_REVISION.commit),),
        answers=(_ANSWER,),
    )
