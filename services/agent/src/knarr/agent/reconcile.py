"""The flow: receive → verify → load → plan → apply in stages → observe → report.

Level-triggered: an event only says *look at this app*; a pass compares what is assigned with what is there and goes as
far as it can, up to the first wait that does not hold. Newer intent simply makes the next pass plan something else.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from knarr.agent.account import account, fights, intend
from knarr.agent.agenda import Agenda
from knarr.agent.core.budget import kind_of
from knarr.agent.core.dependencies import circle, waits_for
from knarr.agent.core.health import Health, HealthStatus
from knarr.agent.core.hooks import Outcome, ids_of
from knarr.agent.core.objects import Seen, ref_of
from knarr.agent.core.plan import Plan, Situation, make_plan
from knarr.agent.deliver import Delivery
from knarr.agent.explain import Explainer, look_again_seconds, makes_pods
from knarr.agent.holders import Holders
from knarr.agent.hooks import HookRunner, Limits
from knarr.agent.intent import Intent, intent_of
from knarr.agent.judge import Judge
from knarr.agent.keeping import Keeper
from knarr.agent.load import Loader
from knarr.agent.namespaces import Namespaces
from knarr.agent.observe import Observer
from knarr.agent.perform import Performer
from knarr.agent.ports import AGENT, As, Cluster
from knarr.agent.receive import Opened
from knarr.agent.records import APP_PREFIX, ASSIGNMENT_KEY, BUNDLE_PREFIX, PIN_KEY, Record, record_to_bytes
from knarr.agent.rehearse import QUESTIONS, Rehearser
from knarr.agent.situation import Gatherer
from knarr.agent.start import Pin
from knarr.agent.survey import Survey
from knarr.agent.tell import Teller
from knarr.agent.thrift import give_back
from knarr.agent.window import Window
from knarr.bundle.bounds import namespace_breach
from knarr.bundle.budget import Budget
from knarr.bundle.header import DeletionPolicy, Header
from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import AssignedApp, DryRun, Tombstone
from knarr.pipeline.errors import KnarrError, Retryable, failure_of, rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import AppName, ObjectId
from knarr.pipeline.report import AppDigest, AppState

LOG = structlog.get_logger("knarr.agent.reconcile")
_PASSES_AT_ONCE = 24
_RETRYABLE_PAUSE = (1.0, 60.0)
_REJECTED_PAUSE = (30.0, 600.0)
_UNFINISHED_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the flow is made of. `hook_secret`: what stamps are made with; `budget`: the cluster owner's limits."""

    cluster: Cluster
    keeper: Keeper
    loader: Loader
    teller: Teller
    clock: Callable[[], float]
    judge: Judge
    own_namespace: str
    hook_secret: bytes
    budget: Budget


class Reconciler:
    """One per agent. Only its passes change records; a pass of an app never overlaps another of the same app."""

    def __init__(self, parts: Parts, tasks: asyncio.TaskGroup, pin: Pin, records: dict[AppName, Record]) -> None:
        self._parts = parts
        self._tasks = tasks
        self.pin = pin
        self.records = records
        self.intent = Intent()
        self.agenda = Agenda(parts.clock)
        self.observer = Observer(parts.cluster, tasks, self._notice, parts.judge)
        self._gatherer = Gatherer(parts.cluster, self.observer, survey := Survey(parts.cluster, parts.clock))
        self._survey = survey
        self._namespaces = Namespaces(parts.cluster, parts.own_namespace)
        self._holders = Holders()
        self._window = Window(budget=parts.budget, records=records, holder=self._holders.has, clock=parts.clock)
        limits = Limits(secret=parts.hook_secret, held=self._is_held, own_namespace=parts.own_namespace)
        self._hooks = HookRunner(parts.cluster, parts.clock, limits)
        self._performer = Performer(parts.cluster, self.observer.seen, self._hooks, parts.judge)
        self._explainer = Explainer(parts.cluster, parts.clock)
        self._rehearser = Rehearser(parts.teller.cluster, parts.cluster, parts.loader, self._situate, parts.clock)
        self._unknown: set[AppName] = set()
        self._postponed: set[AppName] = set()
        self._dependents: dict[AppName, set[AppName]] = {}
        self._notes: dict[ObjectId, Mapping[str, Any] | None] = {}
        self.passes = 0
        parts.teller.health, parts.teller.changed = self._health, self._state_changed

    # --- intent ------------------------------------------------------------------

    async def accept(self, opened: Opened) -> None:
        """A newer assignment: durable first (I3), then acted on."""
        pin = replace(self.pin, generation=opened.header.generation)
        await self._parts.keeper.save({ASSIGNMENT_KEY: opened.data, PIN_KEY: pin.to_bytes()})
        self.pin = pin
        self.obey(intent_of(opened.header, opened.body))
        for asked in opened.body.dry_runs[:QUESTIONS]:
            self._tasks.create_task(self._rehearse(asked), name=f"dry-run-{asked.request_id}")

    async def _rehearse(self, asked: DryRun) -> None:
        try:
            self._parts.teller.publisher.plan(await self._rehearser.answer(asked))
        except Exception:
            LOG.error("a dry run failed in a way that must not be", exc_info=True)

    async def _situate(self, assigned: AssignedApp, bundle: Bundle) -> tuple[Situation, tuple[Failure, ...], As]:
        record = self.records.get(AppName(assigned.app)) or Record(app=AppName(assigned.app))
        who = self._on_behalf(bundle.header)
        return *await self._situation(record, assigned, bundle, who), who

    async def tidy(self) -> None:
        """At the start, before anything is obeyed: of removed apps nothing is kept beyond the budget's window."""
        blank = [r for r in self.records.values() if not r.entries and not r.digest and not self._window.remnant(r)]
        for record in blank:
            del self.records[record.app]
        if blank:
            await self._parts.keeper.save({APP_PREFIX + record.app: None for record in blank})

    def obey(self, intent: Intent, *, restarted: bool = False) -> None:
        """Replaces the intent; only apps that it changes are looked at."""
        before, self.intent = self.intent, intent
        self._survey.forget()
        for app in set(before.apps) - set(intent.apps) - set(intent.tombstones):
            self._detach(app)
        for app in intent.tombstones:
            self._let_go(app)
            self._parts.judge.learn(app, ())
            self.agenda.mark(app)
        self._unknown = set()
        for app, assigned in intent.apps.items():
            self._expect(app, assigned, restarted=restarted)
        self._parts.teller.publisher.cluster()

    def _expect(self, app: AppName, assigned: AssignedApp, *, restarted: bool) -> None:
        record = self.records.get(app)
        if record is None or record.state is AppState.REMOVED:
            record = self.records[app] = Record(app=app, left=record.left if record is not None else {})
        record.assigned = assigned.digest
        if restarted and record.complete and record.digest == assigned.digest:
            record.loaded = assigned.digest
            self.observer.again(self._parts.judge.learn(app, record.header.health_rules))
            self._holders.claim(app, record.entries)
            self.agenda.mark(app)
            return
        if record.loaded != assigned.digest:
            self._unknown.add(app)
            now = self._parts.clock()
            trace, digest = self.intent.traceparent, assigned.digest
            self._parts.teller.deliveries[app] = Delivery(app=app, digest=digest, traceparent=trace, received=now)
            spread = random.uniform(0.0, self.intent.fetch_spread_seconds)  # noqa: S311
            self.agenda.at(app, now + spread) if spread else self.agenda.mark(app)
        elif record.held is not None or record.deferred:
            self.agenda.mark(app)

    def _let_go(self, app: AppName) -> None:
        if self._holders.drop(app):
            self._look_at_refused()

    def _look_at_refused(self) -> None:
        """Some app let go of objects: who was refused them looks again."""
        for other in self.records.values():
            if any(f.code == "KNR4021" for f in other.failures):
                self.agenda.mark(other.app)

    def _detach(self, app: AppName) -> None:
        self._let_go(app)
        self._parts.judge.learn(app, ())
        self._parts.teller.forget(app)
        if (record := self.records.get(app)) is not None:
            record.loaded = b""
            if record.state is AppState.REMOVED and not record.left:
                del self.records[app]

    # --- events ------------------------------------------------------------------

    def _notice(self, identity: ObjectId, seen: Seen | None, metadata: Mapping[str, Any] | None) -> None:
        app = self._holders.of(identity) or (AppName(seen.owner) if seen is not None else self._losing(identity))
        record = self.records.get(app) if app is not None else None
        if record is None:
            return
        if (entry := record.entries.get(identity)) is None:
            if not record.complete:  # a hook's object, perhaps
                self.agenda.mark(record.app)
            return
        if seen is None or (entry.mark and entry.mark != seen.mark):
            self._notes.setdefault(identity, metadata)
        self.agenda.mark(record.app)

    def _losing(self, identity: ObjectId) -> AppName | None:
        """The app that an object leaves which no bundle holds any more: it waits for its deletion to end."""
        return next((r.app for r in self.records.values() if identity in r.entries), None)

    def _state_changed(self, app: AppName) -> None:
        """Apps that depend on this one look again."""
        for other in self._dependents.get(app, ()):
            self.agenda.mark(other)

    def rest(self) -> None:
        """Nothing has happened for a while: keeps no more than it needs."""
        self._survey.forget()
        self._explainer.forget()
        give_back()

    # --- passes ------------------------------------------------------------------

    async def run(self) -> None:
        """Hands out passes until cancelled."""
        turns = asyncio.Semaphore(_PASSES_AT_ONCE)
        while True:
            await turns.acquire()
            app = await self.agenda.take()
            self._tasks.create_task(self._guarded(app, turns), name=f"pass-{app}")

    async def _guarded(self, app: AppName, turns: asyncio.Semaphore) -> None:
        self.passes += 1
        try:
            await self._look(app)
        except KnarrError as error:
            self._failed(app, error)
        except Exception as error:
            LOG.error("a pass failed in a way that must not be", app=app, exc_info=True)
            self._failed(app, rejected("KNR4090", f"{type(error).__name__} while reconciling {app}"))
        finally:
            turns.release()
            self.agenda.done(app)

    async def _look(self, app: AppName) -> None:
        if (tombstone := self.intent.tombstones.get(app)) is not None:
            await self._remove(app, tombstone)
        elif (assigned := self.intent.apps.get(app)) is not None:
            await self._bring(self.records[app], assigned)

    async def _bring(self, record: Record, assigned: AssignedApp) -> None:
        unread = await self._gatherer.watch({kind_of(i) for i in record.entries})
        if not unread and self._is_settled(record, assigned):
            record.failures = fights(record, self._parts.clock())
            await self._explain(record, self._on_behalf(record.header))
            self._tell(record)
            return
        bundle, packed = await self._parts.loader.bundle(assigned)
        self._delivery_mark(record, assigned, "load")
        self.observer.again(self._parts.judge.learn(record.app, bundle.header.health_rules))
        self._claim(record, assigned, bundle)
        if self._is_blocked(record, assigned, bundle.header):
            self._tell(record)
            return
        who = self._on_behalf(bundle.header)
        await self._namespaces.ensure(bundle)
        situation, troubles = await self._situation(record, assigned, bundle, who)
        plan, wanted = make_plan(situation), {ref_of(o).id for o in bundle.objects} - ids_of(bundle.objects)
        kept = self._window.begin(record, plan, wanted)
        await self._write_ahead(record, assigned, bundle.header, packed, plan, kept=kept)
        await self._carry_out(record, plan, who, troubles, wanted=wanted)
        if record.hooks and situation.prune_allowed and bundle.header.prune:
            await self._clean_hooks(record, bundle, who)
        await self._explain(record, who)
        self._tell(record)

    def _is_settled(self, record: Record, assigned: AssignedApp) -> bool:
        if not (record.complete and record.loaded == record.digest == assigned.digest):
            return False
        for identity, entry in record.entries.items():
            seen = self.observer.seen(identity)
            if seen is None or seen.uid != entry.uid or seen.mark != entry.mark or seen.deleting:
                return False
        return True

    def _claim(self, record: Record, assigned: AssignedApp, bundle: Bundle) -> None:
        ids = (ref_of(o).id for o in bundle.objects)
        released = self._holders.claim(record.app, ids, ids_of(bundle.objects))
        record.loaded = assigned.digest
        if released:
            self._look_at_refused()
        if record.app in self._unknown:
            self._unknown.discard(record.app)
            for postponed in self._postponed:
                self.agenda.mark(postponed)

    def _is_blocked(self, record: Record, assigned: AssignedApp, header: Header) -> bool:
        for named in header.depends_on:
            self._dependents.setdefault(AppName(named), set()).add(record.app)
        if record.digest == assigned.digest or not header.depends_on:
            return False
        depends = {a: r.header.depends_on for a, r in self.records.items()} | {record.app: header.depends_on}
        record.header = replace(record.header, depends_on=header.depends_on)
        if around := circle(record.app, depends):
            raise rejected("KNR4032", f"{' waits for '.join((*around, record.app))}")
        missing = waits_for(record.app, depends, self._is_ready)
        record.waits_for = f"waits for app {', '.join(missing)}" if missing else ""
        return bool(missing)

    def _is_ready(self, app: AppName) -> bool:
        record, assigned = self.records.get(app), self.intent.apps.get(app)
        if record is None or assigned is None:
            return False
        return record.digest == assigned.digest and record.state is AppState.HEALTHY

    async def _situation(
        self, record: Record, assigned: AssignedApp, bundle: Bundle, who: As
    ) -> tuple[Situation, tuple[Failure, ...]]:
        gathered = await self._gatherer.gather(record, bundle.header, bundle.objects, who)
        self._notes |= {i: m for i, m in gathered.metadata.items() if i in self._notes}
        objects = tuple(o for o in bundle.objects if ref_of(o).of_kind not in gathered.unread)
        inventory = {i: e for i, e in record.entries.items() if kind_of(i) not in gathered.unread}
        elsewhere = self._holders.others(record.app, {*inventory, *(ref_of(o).id for o in objects)})
        return (
            Situation(
                app=record.app,
                digest=assigned.digest,
                header=bundle.header,
                objects=objects,
                inventory=inventory,
                live=gathered.live,
                metadata=gathered.metadata,
                hooks=record.hooks,
                installed=record.applied != b"",
                claims=elsewhere,
                moved=self._holders.moved(record.app, inventory),
                own_namespace=self._parts.own_namespace,
                pending=frozenset(self._unknown),
                approvals=self.intent.approvals,
                resting=frozenset(i for i, f in record.fights.items() if f.resting(self._parts.clock())),
                prune_allowed=not (self._unknown or assigned.defer_prune or gathered.unread),
                budget=self._parts.budget,
                past=self._window.past(record),
                origins=self._window.origins(record),
                renamed=record.renamed,
            ),
            tuple(failure_of(e) for e in gathered.unread.values()),
        )

    async def _write_ahead(
        self, record: Record, assigned: AssignedApp, header: Header, packed: bytes | None, plan: Plan, *, kept: bool
    ) -> None:
        changed = record.digest != assigned.digest
        old = record.digest
        if changed:
            record.digest, record.generation = assigned.digest, self.intent.generation
            record.changed_ms, record.traceparent = int(self._parts.clock() * 1000), self.intent.traceparent
            record.complete, record.attempts, record.unhealthy_ms = False, 0, 0
        record.header = header
        if not intend(record, plan) and not changed and not kept:
            return
        writes: dict[str, bytes | None] = {APP_PREFIX + record.app: record_to_bytes(record)}
        if packed is not None:
            writes[BUNDLE_PREFIX + assigned.digest.hex()] = packed
        if changed and old:
            writes[BUNDLE_PREFIX + old.hex()] = None
        await self._parts.keeper.save(writes)

    async def _carry_out(
        self, record: Record, plan: Plan, who: As, troubles: tuple[Failure, ...], *, wanted: set[ObjectId]
    ) -> None:
        performed = await self._performer.perform(plan, record.header, record.hooks, who)
        now = self._parts.clock()
        for result in performed.results:
            if result.seen is not None:
                self.observer.put(result.step.ref.id, result.seen)
        before = dict(record.entries)
        self._window.let_go(record, self._holders.moved(record.app, record.entries) - wanted)
        account(record, plan, performed, self._notes, now)
        for result in performed.results:
            self._notes.pop(result.step.ref.id, None)
        if self._namespaces.lost(record.header.namespace, performed):
            self.agenda.at(record.app, now + _RETRYABLE_PAUSE[0])
        self._conclude(record, plan, troubles, now)
        others = self._window.settle(record, plan, performed)
        if record.entries != before or not plan.is_empty or record.complete:
            changed = {r.app: r for r in (record, *others)}
            await self._parts.keeper.save({APP_PREFIX + app: record_to_bytes(r) for app, r in changed.items()})

    async def _clean_hooks(self, record: Record, bundle: Bundle, who: As) -> None:
        """After their outcome is kept: else a kill in between would run them again."""
        present = {ref_of(o).id for o in bundle.objects}
        left = await self._hooks.cleaned(record.app, record.hooks, ids_of(bundle.objects), present, who)
        if left != record.hooks:
            record.hooks = left
            await self._parts.keeper.save({APP_PREFIX + record.app: record_to_bytes(record)})

    def _conclude(self, record: Record, plan: Plan, troubles: tuple[Failure, ...], now: float) -> None:
        record.failed = (*record.failed, *troubles)
        record.failures = (*record.failed, *fights(record, now))
        whole = not record.failed and not record.waits_for
        if whole and record.applied != plan.digest:
            record.applied, record.applied_ms = plan.digest, int(now * 1000)
            if (delivery := self._parts.teller.deliveries.get(record.app)) is not None:
                delivery.mark("apply", now)
        record.complete = whole and record.held is None and not record.deferred
        record.attempts = record.attempts + 1 if record.failed else 0
        (self._postponed.add if record.deferred or record.waits_for else self._postponed.discard)(record.app)
        if record.failed:
            self.agenda.at(record.app, now + _pause(record.attempts, all(f.retryable for f in record.failed)))
        elif not record.complete:
            self.agenda.at(record.app, now + _UNFINISHED_SECONDS)
        for fight in record.fights.values():
            if fight.resting(now):
                self.agenda.at(record.app, fight.until)
        for run in record.hooks.values():
            if run.outcome == Outcome.RUNNING.value:
                self.agenda.at(record.app, run.since_ms / 1000 + record.header.progress_deadline_seconds)

    # --- removal -----------------------------------------------------------------

    async def _remove(self, app: AppName, tombstone: Tombstone) -> None:
        record = self.records.get(app)
        if record is not None and record.state is AppState.REMOVED:
            return
        if record is None:
            record = self.records[app] = Record(app=app, generation=self.intent.generation)
        record.generation, record.traceparent = self.intent.generation, self.intent.traceparent
        keep = tombstone.keep_objects or record.header.deletion is DeletionPolicy.ORPHAN
        if record.entries and not keep:
            await self._prune_all(record, tombstone)
            if record.entries:
                self._tell(record)
                return
        if not keep:
            who = self._on_behalf(record.header)
            record.hooks = await self._hooks.cleaned(record.app, record.hooks, (), (), who)
        bundle = BUNDLE_PREFIX + record.digest.hex()
        gone = Record(app=app, generation=self.intent.generation, traceparent=record.traceparent)
        gone.left = self._window.remnant(record)
        kept = record_to_bytes(gone) if gone.left else None
        await self._parts.keeper.save({APP_PREFIX + app: kept, **({bundle: None} if record.digest else {})})
        self.records[app] = gone
        self._parts.teller.removed(gone)

    async def _prune_all(self, record: Record, tombstone: Tombstone) -> None:
        who = self._on_behalf(record.header)
        gathered = await self._gatherer.gather(record, record.header, (), who)
        situation = Situation(
            app=record.app,
            digest=record.digest,
            assigned=record.assigned,
            header=record.header,
            objects=(),
            inventory={i: e for i, e in record.entries.items() if kind_of(i) not in gathered.unread},
            live=gathered.live,
            moved=self._holders.moved(record.app, record.entries),
            own_namespace=self._parts.own_namespace,
            approvals=self.intent.approvals,
            prune_allowed=not (self._unknown or gathered.unread),
            removal=True,
            since=tombstone.since_generation,
            budget=self._parts.budget,
            past=self._window.past(record),
            origins=self._window.origins(record),
            renamed=record.renamed,
        )
        troubles, plan = tuple(failure_of(e) for e in gathered.unread.values()), make_plan(situation)
        if self._window.begin(record, plan, ()) or record.assigned != record.digest:
            await self._parts.keeper.save({APP_PREFIX + record.app: record_to_bytes(record)})
        await self._carry_out(record, plan, who, troubles, wanted=set())
        if record.held is None and not record.failed and not record.deferred and not record.waits_for:
            record.entries.clear()  # what is left is kept on purpose: skipped with its reason

    # --- telling -----------------------------------------------------------------

    def states(self) -> list[AppDigest]:
        """What every app that is assigned or being removed is at."""
        concerned = (*self.intent.apps, *self.intent.tombstones)
        return [
            AppDigest(app=app, digest=record.digest, state=record.state)
            for app in concerned
            if (record := self.records.get(app)) is not None
        ]

    def is_applied(self) -> bool:
        """Whether all of the newest generation is applied."""
        for app, assigned in self.intent.apps.items():
            record = self.records.get(app)
            if record is None or record.applied != assigned.digest:
                return False
        return all(self.records[t].state is AppState.REMOVED for t in self.intent.tombstones if t in self.records)

    def _health(self, record: Record, identity: ObjectId) -> Health | None:
        """How an object of an app is, as last seen, with what its pods say."""
        seen = self.observer.seen(identity)
        if seen is None or seen.health.status is HealthStatus.CURRENT:
            return seen.health if seen is not None else None
        reason = record.reasons.get(identity)
        return replace(seen.health, message=f"{reason} ({seen.health.message})") if reason else seen.health

    async def _explain(self, record: Record, who: As) -> None:
        """Has the pods of what is unready looked at, now and (ever more rarely) later."""
        unready = {e.uid: i for i, e in record.entries.items() if e.uid and makes_pods(i) and self._is_unready(i)}
        record.reasons = {}
        if not unready:
            return
        now = self._parts.clock()
        since = record.unhealthy_ms / 1000 or now
        self.agenda.at(record.app, now + look_again_seconds(now - since))
        record.reasons = await self._explainer.reasons(unready, since, who)

    def _is_unready(self, identity: ObjectId) -> bool:
        seen = self.observer.seen(identity)
        return seen is not None and seen.health.status in (HealthStatus.IN_PROGRESS, HealthStatus.FAILED)

    def _tell(self, record: Record) -> None:
        deadline = self._parts.teller.tell(record)
        if deadline is not None:
            self.agenda.at(record.app, deadline)

    def _failed(self, app: AppName, error: KnarrError) -> None:
        record = self.records.setdefault(app, Record(app=app))
        record.failed = record.failures = (failure_of(error),)
        record.attempts += 1
        pause = _pause(record.attempts, isinstance(error, Retryable))
        self.agenda.at(app, self._parts.clock() + pause)
        LOG.info("app not brought forward", app=app, code=error.code, error=error.message, pause=round(pause, 1))
        self._tell(record)

    def _on_behalf(self, header: Header) -> As:
        """Whose rights the app is applied with: its source's account, else its own, else the agent's."""
        account = header.bounds.service_account or header.service_account
        if account is None:
            return AGENT
        if not account or not header.namespace:
            raise rejected("KNR4025", "the app's service account has no name or no namespace")
        if why := namespace_breach(header.bounds, header.namespace, self._parts.own_namespace):
            raise rejected("KNR4035", f"its service account lies where it may not be: {why}")
        return As(namespace=header.namespace, service_account=account)

    def _is_held(self, identity: ObjectId, app: AppName) -> bool:
        """Whether an inventory has the object, or another app's assigned bundle."""
        holder = self._holders.of(identity)
        return holder not in (None, app) or any(identity in r.entries for r in self.records.values())

    def _delivery_mark(self, record: Record, assigned: AssignedApp, stage: str) -> None:
        delivery = self._parts.teller.deliveries.get(record.app)
        if delivery is not None and delivery.digest == assigned.digest:
            delivery.mark(stage, self._parts.clock())


def _pause(attempts: int, is_retryable: bool) -> float:
    first, longest = _RETRYABLE_PAUSE if is_retryable else _REJECTED_PAUSE
    return min(longest, first * 2.0 ** min(attempts - 1, 10)) * random.uniform(0.7, 1.0)  # noqa: S311
