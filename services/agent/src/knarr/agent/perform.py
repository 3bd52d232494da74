"""Carrying out a plan against the cluster, step by step, up to the first wait that does not hold.

One step's failure never stops another (I5). What came of each step is a value; reconcile puts them together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import structlog

from knarr.agent.core.health import HealthStatus
from knarr.agent.core.hooks import HookRun, Outcome
from knarr.agent.core.leaving import dotted, json_pointer, leaving
from knarr.agent.core.objects import Seen, seen_of
from knarr.agent.core.ownership import migrated
from knarr.agent.core.plan import NAMESPACE, RECREATED, Plan, Step, failure, not_adopted, too_many
from knarr.agent.core.takeover import differences, previous_manager
from knarr.agent.hooks import HookRunner
from knarr.agent.judge import Judge
from knarr.agent.ports import As, Cluster
from knarr.bundle.canonical import Object
from knarr.bundle.header import Header, Takeover
from knarr.pipeline.errors import KnarrError, failure_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import ObjectId
from knarr.pipeline.report import Adoption, AdoptionOutcome, StepAction

LOG = structlog.get_logger("knarr.agent.perform")
Look = Callable[[ObjectId], Seen | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a step. `seen` is the object afterwards; `gone` means that it is known not to exist any more.

    `held`: it was not done, as it would delete more than may go unasked.
    """

    step: Step
    seen: Seen | None = None
    failure: Failure | None = None
    held: Failure | None = None
    gone: bool = False
    created: bool = False
    adoption: Adoption | None = None
    run: HookRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """The results, and what the plan stopped at."""

    results: tuple[Result, ...]
    waits_for: str = ""


class Performer:
    """Carries out plans. `look` gives what was last seen of an object."""

    def __init__(self, cluster: Cluster, look: Look, hooks: HookRunner, judge: Judge) -> None:
        self._cluster = cluster
        self._judge = judge
        self._look = look
        self._hooks = hooks

    async def perform(self, plan: Plan, header: Header, runs: Mapping[str, HookRun], who: As) -> Performed:
        """All steps that can be done now. `runs` are the hooks' newest runs."""
        results: list[Result] = []
        failed: set[ObjectId] = set()
        pardons = _Pardons(plan.room)
        for _, together in groupby(plan.steps, key=_group):
            steps = list(together)
            if steps[0].hook is not None and steps[0].action is not StepAction.UNCHANGED:
                if failed:
                    return Performed(results=tuple(results), waits_for="hooks wait until everything else is applied")
                results.append(await self._hook(steps[0], plan, header, runs, who))
                if waits := _unfinished(results[-1]):
                    return Performed(results=tuple(results), waits_for=waits)
                continue
            if waits := self._unmet(steps, failed, results):
                return Performed(results=tuple(results), waits_for=waits)
            if steps[0].action is StepAction.PRUNE and failed:
                return Performed(results=tuple(results), waits_for="deletions wait until everything else is applied")
            done = await asyncio.gather(*(self._step(step, header, pardons, who) for step in steps if step.writes))
            results += done
            results += [await self._left_out(s, who) for s in steps if not s.writes]
            failed |= {r.step.ref.id for r in results if r.held or (r.failure and not r.step.beside)}
            if steps[0].action is StepAction.PRUNE and (left := [r for r in done if not r.gone]):
                return Performed(results=tuple(results), waits_for=_leaving(left))
        return Performed(results=tuple(results))

    def _unmet(self, steps: Sequence[Step], failed: set[ObjectId], results: Sequence[Result]) -> str:
        """What is waited for. An answer of this very plan counts: no event will tell the same once more."""
        answers = {r.step.ref.id: r.seen for r in results if r.seen is not None}
        for step in steps:
            if step.action is not StepAction.WAIT or (step.ref.id in failed and not step.strict):
                continue
            seen, answer = self._look(step.ref.id), answers.get(step.ref.id)
            if answer is not None and (seen is None or seen.version < answer.version):
                seen = answer
            if seen is None or seen.health.status is not HealthStatus.CURRENT:
                why = f": {seen.health.message}" if seen is not None and seen.health.message else ""
                return f"waits for {step.ref.words}{why}"
        return ""

    async def _step(self, step: Step, header: Header, pardons: _Pardons, who: As) -> Result:
        try:
            match step.action:
                case StepAction.PRUNE:
                    return await self._prune(step, who)
                case StepAction.ADOPT:
                    return await self._adopt(step, header, who)
                case StepAction.CREATE:
                    return await self._create(step, header, who)
                case _:
                    return await self._apply(step, who)
        except KnarrError as error:
            if error.code == "KNR4020" and step.may_recreate:
                return await self._recreate(step, who) if pardons.take() else Result(step=step, held=too_many(1))
            return Result(step=step, failure=replace(failure_of(error), object_id=step.ref.id))
        except Exception as error:
            LOG.error("a step failed in a way that must not be", object=step.ref.id, exc_info=True)
            return Result(step=step, failure=failure("KNR4090", type(error).__name__, object_id=step.ref.id))

    async def _hook(self, step: Step, plan: Plan, header: Header, runs: Mapping[str, HookRun], who: As) -> Result:
        if step.hook is None or step.action is not StepAction.HOOK:
            return Result(step=step, failure=step.failure)
        known = runs.get(step.hook.key)
        try:
            run = await self._hooks.advance(step, plan.digest, known, header.progress_deadline_seconds, who)
        except KnarrError as error:
            return Result(step=step, failure=replace(failure_of(error), object_id=step.ref.id))
        if run.outcome != Outcome.FAILED.value:
            return Result(step=step, run=run)
        code = "KNR4044" if run.late else "KNR4043"
        why = run.message or "it ended without success"
        return Result(step=step, run=run, failure=failure(code, why, object_id=step.ref.id))

    async def _apply(self, step: Step, who: As) -> Result:
        assert step.manifest is not None
        done = await self._cluster.apply(step.manifest, force=step.force, who=who)
        return Result(step=step, seen=self._judge.seen(done.found, step.ref.of_kind), created=done.created)

    async def _prune(self, step: Step, who: As) -> Result:
        seen = self._look(step.ref.id)
        if seen is None:
            if not step.uid and not await self._cluster.serves(step.ref.of_kind):
                return Result(step=step, gone=True)  # written ahead, and it could never be created
            found = await self._cluster.get(step.ref, metadata_only=True, who=who)
            if found is None:
                return Result(step=step, gone=True)
            seen = seen_of(found, step.ref.of_kind)
        if not step.uid or seen.uid != step.uid or not seen.owner:
            return Result(step=replace(step, action=StepAction.SKIP, reason="not ours any more"), gone=True)
        if seen.deleting:
            return Result(step=step, seen=seen)
        left = await self._cluster.delete(step.ref, uid=step.uid, who=who)
        if left is not None:
            return Result(step=step, seen=seen_of(left, step.ref.of_kind))
        return Result(step=step, gone=True)

    async def _create(self, step: Step, header: Header, who: As) -> Result:
        """Never forced: what somebody else made in the meantime is taken over by the app's policy, or left."""
        if step.ref.of_kind == NAMESPACE and not header.bounds.adopt_namespaces and await self._is_foreign(step, who):
            refused = not_adopted(step)
            return Result(step=refused, failure=refused.failure)
        try:
            done = await self._apply(step, who)
        except KnarrError as error:
            if error.code != "KNR4023":
                raise
            if header.takeover is Takeover.NEVER:
                return await self._left_out(
                    replace(step, failure=replace(_EXISTS, object_id=step.ref.id), action=StepAction.SKIP), who
                )
            return await self._adopt(replace(step, action=StepAction.ADOPT, force=True), header, who)
        return done

    async def _is_foreign(self, step: Step, who: As) -> bool:
        """Whether somebody made the namespace since it was looked for: applying would adopt it without a word."""
        found = await self._cluster.get(step.ref, metadata_only=True, who=who)
        if found is None:
            return False
        seen = seen_of(found, step.ref.of_kind)
        return not seen.made_for_apps and not (seen.owner and seen.mark)

    async def _adopt(self, step: Step, header: Header, who: As) -> Result:
        assert step.manifest is not None
        live = await self._cluster.get(step.ref, who=who)
        if live is None:
            return await self._apply(replace(step, force=False), who)
        metadata = live.get("metadata") or {}
        managers = migrated(metadata)
        if header.takeover is Takeover.IF_NO_DIFF and (found := await self._differences(step, live, who)):
            return _refused(step, found, previous_manager(metadata))
        if managers is not None:
            await self._cluster.replace_managers(step.ref, live, managers, who=who)
        done = await self._cluster.apply(step.manifest, force=step.force, who=who)
        adopted = Adoption(
            object_id=step.ref.id,
            outcome=AdoptionOutcome.ADOPTED,
            differences=differences(live, done.found),
            previous_manager=previous_manager(metadata),
        )
        return Result(step=step, seen=self._judge.seen(done.found, step.ref.of_kind), adoption=adopted)

    async def _left_out(self, step: Step, who: As) -> Result:
        """A step that writes nothing; of an object that is not taken over, the report tells how it differs."""
        if step.failure is None or step.failure.code != "KNR4022" or step.manifest is None:
            return Result(step=step, failure=step.failure)
        try:
            live = await self._cluster.get(step.ref, who=who)
            found = await self._differences(step, live, who) if live is not None else ()
        except KnarrError:
            return Result(step=step, failure=step.failure)
        manager = previous_manager((live or {}).get("metadata") or {})
        return replace(_refused(step, found, manager), failure=step.failure)

    async def _differences(self, step: Step, live: Object, who: As) -> tuple[str, ...]:
        """What a takeover would change, by dry runs: what the manifest sets, and what only earlier appliers set."""
        assert step.manifest is not None
        trial = await self._cluster.apply(step.manifest, force=True, dry_run=True, who=who)
        found = differences(live, trial.found)
        if not (gone := leaving(live, trial.found)):
            return found
        try:
            left = await self._cluster.without(step.ref, [json_pointer(p) for p in gone], who=who)
        except KnarrError:  # it cannot be without them: they are named as they are
            return (*found, *(dotted(p) for p in gone if dotted(p) not in found))
        return (*found, *(path for path in differences(live, left) if path not in found))

    async def _recreate(self, step: Step, who: As) -> Result:
        again = replace(step, action=StepAction.RECREATE, reason=RECREATED)
        try:
            left = await self._cluster.delete(step.ref, uid=step.uid, who=who)
            if left is None:
                return await self._apply(replace(again, force=False), who)
        except KnarrError as error:
            return Result(step=again, failure=replace(failure_of(error), object_id=step.ref.id))
        held = seen_of(left, step.ref.of_kind).health.message
        why = f"deleted to be created again; {held}"
        return Result(step=again, failure=failure("KNR4024", why, object_id=step.ref.id, retryable=True))


def _group(step: Step) -> tuple[bool, bool, str, int, int]:
    """Steps that may be done together; a hook is alone."""
    hook = step.hook.key if step.hook is not None else ""
    return (step.action is StepAction.PRUNE, step.action is StepAction.WAIT, hook, step.wave, step.stage)


def _unfinished(result: Result) -> str:
    """What is waited for because of a hook; empty when it has succeeded."""
    if result.failure is not None:
        return f"hook {result.step.ref.words} failed"
    if result.run is None:
        return f"waits for hook {result.step.ref.words}: {result.step.reason}"
    if result.run.outcome == Outcome.SUCCEEDED.value:
        return ""
    why = f": {result.run.message}" if result.run.message else ""
    return f"waits for hook {result.step.ref.words}{why}"


def _leaving(left: list[Result]) -> str:
    first = left[0]
    why = first.failure.message if first.failure else first.seen.health.message if first.seen else "its deletion"
    return f"waits until {first.step.ref.words} is gone: {why}"


class _Pardons:
    """How many objects of a plan may still be recreated; None: any number."""

    def __init__(self, room: int | None) -> None:
        self._left = room

    def take(self) -> bool:
        """Whether one more may."""
        if self._left is None:
            return True
        self._left -= 1
        return self._left >= 0


_EXISTS = failure("KNR4022", "somebody made it at this moment, and the app's takeover policy is Never")


def _refused(step: Step, found: tuple[str, ...], manager: str) -> Result:
    refused = Adoption(
        object_id=step.ref.id, outcome=AdoptionOutcome.REFUSED, differences=found, previous_manager=manager
    )
    why = f"it exists already and differs in {', '.join(found[:5])}"
    return Result(step=step, failure=failure("KNR4022", why, object_id=step.ref.id), adoption=refused)
