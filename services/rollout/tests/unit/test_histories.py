"""Random histories of everything that can happen: the promises that no order of events may break (I1 to I7).

Two sources, three clusters of which one lies, commits that delete, move, fail and loosen guards, approvals of what was
shown and of what was not, reports that come twice or late, other epochs, time, broken transactions, a silent broker,
restarts, and two leaders at once. A plain model that keeps everything watches what is published.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey

from knarr.pipeline.assignment import AssignmentBody
from knarr.pipeline.errors import KnarrError, retryable
from knarr.pipeline.report import AppReport, AppState
from knarr.rollout.core.guard import GuardSettings, stricter
from knarr.testkit.fleet_story import Story, digest_for, restarted, start_story
from knarr.testkit.rollout_store import MemoryStore

HONEST, LIAR = ("c1", "c2"), "c3"
CLUSTERS = (*HONEST, LIAR)
SOURCE_OF = {"a": "fleet", "b": "fleet", "t": "team"}
FULL = {app: (*(f"{app}{n}" for n in range(12)), f"PersistentVolumeClaim/{app}") for app in SOURCE_OF}
GUARDS = (b"", b'{"maxLostShare":1,"holdRemoval":false,"holdProtected":false,"maxClustersLeftShare":1}')

APP = st.sampled_from(sorted(SOURCE_OF))
COMMIT = st.tuples(
    st.just("commit"),
    APP,
    st.sampled_from(("full", "gone", "hooks", "unprotected")) | st.integers(1, 5),
    st.sampled_from((*GUARDS, b"", b"")),
)
EVENTS = st.lists(
    st.one_of(
        COMMIT,
        COMMIT,
        COMMIT,
        st.tuples(st.just("move"), st.sampled_from((("a", "b"), ("b", "a"))), st.integers(1, 12)),
        st.tuples(st.just("fail"), APP, st.sampled_from(((), ("c1",), CLUSTERS))),
        st.tuples(st.just("approve"), APP, st.sampled_from(("shown", "shown", "older", "none"))),
        st.tuples(
            st.just("report"), st.sampled_from(CLUSTERS), APP, st.sampled_from(("well", "holds", "twice", "removed"))
        ),
        st.tuples(st.just("lie"), st.sampled_from(("generation", "key", "forged", "uid", "epoch", "apps"))),
        st.tuples(st.just("later"), st.sampled_from((0.1, 7.0, 25.0))),
        st.tuples(st.just("unreadable"), st.sampled_from(("fleet", "team"))),
        st.tuples(st.just("break"), st.sampled_from(("transaction", "broker"))),
        st.tuples(st.just("again")),
        st.tuples(st.just("restart")),
        st.tuples(st.just("usurp")),
        st.tuples(st.just("old leader"), APP),
    ),
    min_size=4,
    max_size=22,
)


@dataclass
class Model:
    """What an agent without a budget of its own would do in one cluster, and what it was entitled to.

    `had`: app → object → when it was last seen there, ms; `lost`: app → object → when it went unasked; `permitted`:
    what an approval let go that waits for another app to render.
    """

    held: dict[str, frozenset[str]] = field(default_factory=dict)
    had: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    lost: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    permitted: dict[str, frozenset[str]] = field(default_factory=dict)
    generation: int = 0


class Watch:
    """Looks at every assignment as it is published, and judges it by itself."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.models = {cluster: Model() for cluster in CLUSTERS}
        self.contents: dict[bytes, tuple[str, ...]] = {}
        self.judging = GuardSettings()
        self.approvals = 0

    def knows(self, app: str, objects: tuple[str, ...]) -> None:
        """A content that a commit gave the app."""
        self.contents[digest_for(app, objects)] = objects

    def look(self) -> None:
        """Everything new in the stream."""
        for cluster, model in self.models.items():
            if cluster not in self.story.outbox.assignments:
                continue
            header, body = self.story.assignment(cluster)  # opens with the key that the cluster enrolled with (I4)
            assert header.generation >= model.generation, "never back (I3)"
            if header.generation > model.generation:
                model.generation = header.generation
                self._obey(model, body)

    def _obey(self, model: Model, body: AssignmentBody) -> None:
        now = self.story.clock.now_ms
        after = dict(model.held)
        approved = {a.app for a in body.approvals}
        for assigned in body.apps:
            objects = frozenset(o for o in self.contents[assigned.digest] if not o.startswith("hook:"))
            kept = model.held.get(assigned.app, frozenset()) - objects if assigned.defer_prune else frozenset[str]()
            after[assigned.app] = objects | kept
            permitted = model.permitted.get(assigned.app, frozenset()) - objects
            model.permitted[assigned.app] = permitted | kept if assigned.app in approved else permitted
        for tombstone in body.tombstones:
            after.pop(tombstone.app, None)
        gone_apps = set(model.held) - {a.app for a in body.apps} - {t.app for t in body.tombstones}
        assert not gone_apps, "an app leaves by a tombstone only (I1)"
        everywhere = frozenset().union(*after.values())
        for app, before in model.held.items():
            model.had[app] |= dict.fromkeys(before, now)
        for app, before in model.held.items():
            going = before - after.get(app, frozenset()) - everywhere - model.permitted.get(app, frozenset())
            if going or (app not in after and app in model.held):
                self._judge(model, app, going, removed=app not in after, approved=app in approved)
        for app in approved:
            covered = model.held.get(app, frozenset()) - after.get(app, frozenset()) - everywhere
            for row in (*model.lost.values(), *model.had.values()):
                for identity in covered:
                    row.pop(identity, None)
            kept_weight = {i: at for i, at in model.had[app].items() if i in everywhere}
            model.had[app], model.lost[app] = kept_weight, {}
        model.held = after
        for row in model.lost.values():
            for identity in everywhere & row.keys():
                del row[identity]

    def _judge(self, model: Model, app: str, going: frozenset[str], *, removed: bool, approved: bool) -> None:
        if approved:
            assert self.approvals > 0, "nobody approved anything"
            return
        now = self.story.clock.now_ms
        limits = self.judging
        since = now - limits.window_seconds * 1000
        if removed:
            assert not limits.hold_removal, f"{app} was removed unasked"
        assert not (limits.hold_protected and any("/" in o for o in going)), f"protected of {app} went unasked"
        for owner in list(model.had):
            recent = {i for i, at in model.had[owner].items() if at > since}
            lost = {i for i, at in model.lost[owner].items() if at > since} | (going & recent)
            if not going & recent:
                continue
            if owner != app or not removed:
                too_many = len(lost) >= limits.min_lost_objects and len(lost) > limits.max_lost_share * len(recent)
                assert not too_many, f"{sorted(lost)} of {len(recent)} of {owner} went unasked"
            model.lost[owner] |= dict.fromkeys(going & recent, now)


class History:
    """Plays one."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.watch = Watch(story)
        self.guards = GuardSettings()
        self.content = {app: FULL[app] for app in SOURCE_OF}
        self.old: Story | None = None
        self.shown: dict[str, list[bytes]] = defaultdict(list)

    async def commit(self, source: str, changes: dict[str, tuple[str, ...] | None], guards: bytes = b"") -> None:
        self.content |= {a: c or () for a, c in changes.items()}
        mine = {a: c for a, c in changes.items() if SOURCE_OF[a] == source}
        for app, objects in mine.items():
            if objects:
                self.watch.knows(app, objects)
        said = GuardSettings.of(guards) if source == "fleet" else self.guards
        self.watch.judging = stricter(self.guards, said)
        apps: dict[str, Any] = {a: (CLUSTERS, c) if c else None for a, c in mine.items()}
        others = {a: c for a, c in self.story.apps.items() if SOURCE_OF[a] != source}
        for app in others:
            del self.story.apps[app]
        try:
            document = guards if source == "fleet" else self.guards.document()
            await self.story.commit(source=source, guards=document, **apps)
        finally:
            self.story.apps |= others
        self.guards = said

    async def play(self, event: tuple[Any, ...]) -> None:
        story = self.story
        match event:
            case ("commit", app, what, guards):
                await self.commit(SOURCE_OF[app], {app: self._content(app, what)}, guards)
            case ("move", (giver, taker), count):
                moving = self.content[giver][:count]
                changed = {giver: self.content[giver][count:] or ("rest",), taker: (*self.content[taker], *moving)}
                await self.commit("fleet", {a: tuple(dict.fromkeys(c)) for a, c in changed.items()})
            case ("fail", app, clusters):
                await story.commit(source=SOURCE_OF[app], failed={app: clusters}, guards=self.guards.document())
            case ("approve", app, how):
                await self._approve(app, how)
            case ("report", cluster, app, how):
                await self._report(cluster, app, how)
            case ("lie", how):
                await self._lie(how)
            case ("later", hours):
                await story.later(hours=hours)
            case ("unreadable", source):
                await story.commit(source=source, source_read=False, fleet_read=False, guards=self.guards.document())
            case ("break", what):
                await self._break(what)
            case ("again",):
                if story.rendered is not None:
                    assert await story.rollout.on_rendered(story.rendered) is None, "decided once (I7)"
            case ("restart",):
                await self._become(await restarted(story))
            case ("usurp",):
                assert isinstance(story.store, MemoryStore)
                self.old = story
                await self._become(await restarted(replace(story, store=story.store.successor())))
            case ("old leader", app):
                if self.old is not None:
                    await self._deposed(app)

    async def _become(self, story: Story) -> None:
        self.story = self.watch.story = story
        await story.rollout.publish_what_is_missing()

    def _content(self, app: str, what: object) -> tuple[str, ...] | None:
        now = self.content[app] or FULL[app]
        match what:
            case "gone":
                return None
            case "hooks":
                return ("stays", *(o if o.startswith("hook:") else f"hook:{o}" for o in now[:6]), *now[6:])
            case "unprotected":
                return tuple(o for o in now if "/" not in o) or ("stays",)
            case int():
                return now[what:] or ("stays",)
        return FULL[app]

    async def _approve(self, app: str, how: str) -> None:
        told = [e for d in self.story.outbox.decisions for e in d.apps if e.app == app and e.evidence]
        if not told:
            return
        entry = told[0] if how == "older" else told[-1]
        evidence = b"" if how == "none" else entry.evidence
        self.watch.approvals += 1
        answer = await self.story.approve(entry.revision, evidence=evidence)
        assert not (answer.accepted and how == "none") or not self._held(app), "an approval names what was shown"

    def _held(self, app: str) -> bool:
        target = self.story.rollout.state.targets.get(app)
        return target is not None and target.held

    async def _report(self, cluster: str, app: str, how: str) -> None:
        if cluster not in self.story.outbox.assignments:
            return
        state = AppState.REMOVED if how == "removed" else AppState.HEALTHY
        for _ in range(2 if how == "twice" else 1):
            await self.story.report(cluster, app, state, holds=how == "holds")

    async def _lie(self, how: str) -> None:
        report = self.story.cluster_report(LIAR)
        match how:
            case "generation":
                report = replace(report, generation_seen=2**63 - 2)
            case "key":
                report = replace(report, sealing_public_key=bytes(32))
            case "forged":
                report = replace(report, sealing_public_key=bytes(PrivateKey.generate().public_key))
            case "uid":
                report = replace(report, cluster_uid="some\0other")
            case "epoch":
                report = replace(report, epoch="another", generation_seen=900)
            case "apps":
                lies = [
                    AppReport(
                        cluster=LIAR, app=a, state=s, generation=2**62, digest=d, applied_at_ms=1, held_digests=(d,)
                    )
                    for a in (*SOURCE_OF, "invented")
                    for s in (AppState.REMOVED, AppState.HELD, AppState.HEALTHY)
                    for d in (b"", bytes(32))
                ]
                await self.story.rollout.on_app_reports(lies)
        await self.story.rollout.on_cluster_reports([report, report])

    async def _break(self, what: str) -> None:
        story = self.story
        assert isinstance(story.store, MemoryStore)
        if what == "transaction":
            story.store.fail_next = retryable("KNR3041", "gone")
        else:
            story.outbox.failing = retryable("KNR7011", "no answer in time")
        try:
            await self.commit("fleet", {"a": FULL["a"]})
        except KnarrError:
            assert story.rendered is not None
            await story.rollout.on_rendered(story.rendered)
        story.store.fail_next = story.outbox.failing = None
        await story.rollout.publish_what_is_missing()

    async def _deposed(self, app: str) -> None:
        """The old leader wakes up and decides: nothing of it may be stored or published."""
        assert self.old is not None
        before, sent = await self.story.store.load(), len(self.story.outbox.sent)
        apps, revisions = dict(self.story.apps), dict(self.story.revisions.by_app)
        changed: dict[str, Any] = {app: (CLUSTERS, ("stays",))}
        with pytest.raises(KnarrError, match="KNR3042"):
            await self.old.commit(source=SOURCE_OF[app], number=10_000, **changed)
        self.story.apps = self.old.apps = apps
        self.story.revisions.by_app = revisions
        assert await self.story.store.load() == before
        assert len(self.story.outbox.sent) == sent

    def everyone_is_served(self) -> None:
        """The liar stops nobody (I5), and the newest that may go has gone (I6)."""
        state = self.story.rollout.state
        for app, target in state.targets.items():
            if target.held or target.gone or target.waiting:
                continue
            for variant in target.revision.variants:
                for cluster in HONEST:
                    assert variant.bundle is not None
                    assert self.story.digest(cluster, app) == variant.bundle.digest


async def play(events: list[tuple[Any, ...]]) -> None:
    story = await start_story(MemoryStore(), CLUSTERS)
    history = History(story)
    for app, objects in FULL.items():
        await history.commit(SOURCE_OF[app], {app: objects})
        history.watch.look()
    for event in events:
        await history.play(event)
        history.watch.look()
        assert replace(await history.story.store.load(), epoch=history.story.rollout.state.epoch) == (
            history.story.rollout.state
        ), "memory and store say the same"
    await history.story.rollout.publish_what_is_missing()
    history.watch.look()
    history.everyone_is_served()


@settings(
    max_examples=int(os.environ.get("KNARR_FUZZ_EXAMPLES", "250")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(EVENTS)
def test_no_history_breaks_a_promise(events: list[tuple[Any, ...]]) -> None:
    asyncio.run(play(events))
