"""A checked fake of rollout's `Store`, and the suite that makes it trustworthy: PostgreSQL passes the same."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TypeVar

from knarr.pipeline.decision import RolloutDecided
from knarr.pipeline.revision import BundleRef, Index, IndexedObject, RevisionRendered, Variant
from knarr.pipeline.snapshot import Commit
from knarr.rollout.core.state import FleetState, IndexView, Member, Placement, Removal, Target
from knarr.rollout.ports import Approved, Changes, OutgoingAssignment, Store

_T = TypeVar("_T")


class MemoryStore:
    """Keeps everything in memory; `fail_next` makes the next transaction fail as a lost database would."""

    def __init__(self) -> None:
        self._state = FleetState()
        self._revisions: dict[str, RevisionRendered] = {}
        self._outgoing: dict[str, OutgoingAssignment] = {}
        self._decisions: list[RolloutDecided] = []
        self._published: set[int] = set()
        self.fail_next: Exception | None = None

    async def load(self) -> FleetState:
        return copy.deepcopy(self._state)

    async def commit(self, changes: Changes) -> None:
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        changes = copy.deepcopy(changes)
        state = self._state
        state.members |= changes.members
        for revision in (*changes.revisions, *(t.revision for t in changes.targets.values() if t)):
            self._revisions.setdefault(revision.revision, revision)
        for index in changes.indexes:
            state.indexes.setdefault(index.digest, IndexView.of(index))
        for app, target in changes.targets.items():
            if target is None:
                state.targets.pop(app, None)
            else:
                state.targets[app] = target
        for (app, cluster), placement in changes.placements.items():
            _put(state.placements, app, cluster, placement)
        for (app, cluster), removal in changes.removals.items():
            _put(state.removals, app, cluster, removal)
        if changes.failing is not None:
            state.failing = dict(changes.failing)
        state.progress |= changes.progress
        state.approvals |= {a.revision for a in changes.approvals}
        self._outgoing |= {o.cluster: o for o in changes.outgoing}
        if changes.decision is not None:
            self._decisions.append(replace(changes.decision, number=len(self._decisions) + 1))

    async def unpublished(self) -> tuple[list[OutgoingAssignment], list[RolloutDecided]]:
        waiting = [d for d in self._decisions if d.number not in self._published]
        return sorted(self._outgoing.values(), key=lambda o: o.cluster), waiting

    async def mark_published(self, clusters: list[str], decisions: list[int]) -> None:
        for cluster in clusters:
            self._outgoing.pop(cluster, None)
        self._published |= set(decisions)

    async def revision(self, revision: str) -> RevisionRendered | None:
        return self._revisions.get(revision)


def _put(table: dict[str, dict[str, _T]], app: str, cluster: str, value: _T | None) -> None:
    row = table.setdefault(app, {})
    if value is None:
        row.pop(cluster, None)
    else:
        row[cluster] = value
    if not row:
        del table[app]


class StoreConformance:
    """Subclass it with a `store` fixture."""

    async def test_a_fresh_store_is_empty(self, store: Store) -> None:
        assert await store.load() == FleetState()
        assert await store.unpublished() == ([], [])

    async def test_what_was_committed_is_loaded(self, store: Store) -> None:
        await store.commit(_changes())
        state = await store.load()
        assert state.members == {"c1": _MEMBER}
        assert state.targets == {"shop": _TARGET}
        assert state.placements == {"shop": {"c1": _PLACEMENT}}
        assert state.removals == {"old": {"c1": _REMOVAL}}
        assert state.indexes == {_DIGEST: IndexView.of(_INDEX)}
        assert state.approvals == {"r1"}
        assert state.failing == {"broken": frozenset({"c1"})}
        assert state.progress == {"fleet": (7, 3)}

    async def test_twice_equals_once(self, store: Store) -> None:
        await store.commit(_changes())
        before = await store.load()
        await store.commit(replace_decision(_changes()))
        assert await store.load() == before

    async def test_none_deletes(self, store: Store) -> None:
        await store.commit(_changes())
        await store.commit(
            Changes(
                targets={"shop": None},
                placements={("shop", "c1"): None},
                removals={("old", "c1"): None},
                failing={},
            )
        )
        state = await store.load()
        assert (state.targets, state.placements, state.removals, state.failing) == ({}, {}, {}, {})

    async def test_the_outbox_holds_until_published(self, store: Store) -> None:
        await store.commit(_changes())
        outgoing, decisions = await store.unpublished()
        assert [o.cluster for o in outgoing] == ["c1"]
        assert [d.epoch for d in decisions] == ["e1"]
        await store.mark_published(["c1"], [decisions[0].number])
        assert await store.unpublished() == ([], [])

    async def test_decisions_are_numbered_upwards(self, store: Store) -> None:
        await store.commit(_changes())
        await store.commit(_changes())
        _, decisions = await store.unpublished()
        assert decisions[0].number < decisions[1].number

    async def test_a_revision_is_found_by_its_id(self, store: Store) -> None:
        await store.commit(_changes())
        assert await store.revision("r1") == _REVISION
        assert await store.revision("r2") is None


def replace_decision(changes: Changes) -> Changes:
    """The same changes without their decision."""
    changes.decision = None
    return changes


_DIGEST = bytes(range(32))
_REF = BundleRef(digest=_DIGEST, address=_DIGEST, plain_size=10, object_count=1, chunk_count=1, key_id="k")
_INDEX = Index(
    digest=_DIGEST,
    objects=(IndexedObject(object_id="/ConfigMap/shop/a-12", content_digest=b"x", stable_id="/ConfigMap/shop/a"),),
)
_REVISION = RevisionRendered(
    app="shop",
    revision="r1",
    commit=Commit(source="fleet", number=7, sha="abc"),
    fleet_commit=Commit(source="fleet", number=7, sha="abc"),
    variants=(Variant(bundle=_REF, clusters=("c1",)),),
    indexes=(_INDEX,),
)
_TARGET = Target(source="fleet", revision=_REVISION, released=_REVISION, held=True)
_MEMBER = Member(name="c1", in_fleet=True, uid="u1", sealing_key=bytes(32), generation=4, labels={"env": "dev"})
_PLACEMENT = Placement(ref=_REF, revision="r1", baseline=(_DIGEST, bytes(32)), defer_prune=True, approved=True)
_REMOVAL = Removal(since_generation=3, revision="r0", baseline=(_DIGEST,))


def _changes() -> Changes:
    return Changes(
        members={_MEMBER.name: _MEMBER},
        targets={"shop": _TARGET},
        placements={("shop", "c1"): _PLACEMENT},
        removals={("old", "c1"): _REMOVAL},
        revisions=[_REVISION],
        indexes=[_INDEX],
        approvals=[Approved(revision="r1", actor="ann", reason="checked")],
        failing={"broken": frozenset({"c1"})},
        progress={"fleet": (7, 3)},
        outgoing=[OutgoingAssignment(cluster="c1", traceparent="00-1", spread_seconds=1.5)],
        decision=RolloutDecided(epoch="e1", commit=_REVISION.commit),
    )
