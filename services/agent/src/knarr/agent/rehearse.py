"""Answering a dry run: the plan for a bundle, tried on the API server without writing anything.

Called by reconcile for the questions in a new assignment. The answer names steps and paths, never values (I9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from knarr.agent.core.objects import Kind, ref_of
from knarr.agent.core.plan import RECREATED, Plan, Situation, Step, make_plan, too_many
from knarr.agent.core.takeover import differences
from knarr.agent.load import Loader
from knarr.agent.ports import As, Cluster
from knarr.bundle.packing import Bundle
from knarr.pipeline.assignment import AssignedApp, DryRun
from knarr.pipeline.errors import KnarrError, failure_of, rejected, retryable
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import PlannedStep, PlanReport, StepAction

QUESTIONS = 8
_SECONDS = 120.0
_TRIES_AT_ONCE = 4
_MAX_STEPS = 500
_MAX_FAILURES = 50
_TRIED = (StepAction.CREATE, StepAction.CONFIGURE, StepAction.ADOPT)
# What is known of the app and the cluster, and on whose behalf the app is applied.
Situate = Callable[[AssignedApp, Bundle], Awaitable[tuple[Situation, tuple[Failure, ...], As]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tried:
    """A step, the paths that it would change, and why it would not work."""

    step: Step
    paths: tuple[str, ...] = ()
    failure: Failure | None = None


class Rehearser:
    """One per agent; one question at a time."""

    def __init__(
        self, cluster: str, api: Cluster, loader: Loader, situate: Situate, clock: Callable[[], float]
    ) -> None:
        self._cluster = cluster
        self._api = api
        self._loader = loader
        self._situate = situate
        self._clock = clock
        self._turn = asyncio.Lock()

    async def answer(self, asked: DryRun) -> PlanReport:
        """The steps for the bundle, or why there are none."""
        try:
            async with self._turn, asyncio.timeout(_SECONDS):
                if asked.app is None:
                    raise rejected("KNR4007", "a dry run names no app")
                return await self._rehearsed(asked, asked.app)
        except KnarrError as error:
            return self._report(asked, (), (failure_of(error),))
        except TimeoutError:
            slow = retryable("KNR4045", f"not planned and tried within {_SECONDS:.0f} seconds")
            return self._report(asked, (), (failure_of(slow),))

    async def _rehearsed(self, asked: DryRun, app: AssignedApp) -> PlanReport:
        bundle, _ = await self._loader.bundle(app)
        situation, troubles, who = await self._situate(app, bundle)
        plan = make_plan(situation)
        coming = _Coming.of(bundle)
        turns = asyncio.Semaphore(_TRIES_AT_ONCE)

        async def tried(step: Step) -> _Tried:
            async with turns:
                return await self._try(step, coming, who)

        results = await asyncio.gather(*(tried(step) for step in plan.steps))
        failures = [r.failure for r in results if r.failure is not None]
        again = sum(r.step.action is StepAction.RECREATE for r in results)
        waits = plan.held or (too_many(again) if plan.room is not None and again > plan.room else None)
        held = (waits,) if waits is not None else ()
        return self._report(asked, _steps(plan, results), (*held, *troubles, *failures))

    async def _try(self, step: Step, coming: _Coming, who: As) -> _Tried:
        if step.action not in _TRIED or step.manifest is None:
            return _Tried(step=step, failure=step.failure)
        try:
            live = await self._api.get(step.ref, who=who) if step.action is not StepAction.CREATE else None
            after = await self._api.apply(step.manifest, force=step.force, dry_run=True, who=who)
        except KnarrError as error:
            if coming.mends(error, step):
                return _Tried(step=step)
            if error.code == "KNR4020" and step.may_recreate:
                return _Tried(step=replace(step, action=StepAction.RECREATE, reason=RECREATED))
            return _Tried(step=step, failure=failure_of(error))
        return _Tried(step=step, paths=differences(live, after.found) if live is not None else ())

    def _report(self, asked: DryRun, steps: tuple[PlannedStep, ...], failures: tuple[Failure, ...]) -> PlanReport:
        return PlanReport(
            cluster=self._cluster,
            request_id=asked.request_id,
            app=asked.app.app if asked.app else "",
            digest=asked.app.digest if asked.app else b"",
            steps=steps,
            failures=failures[:_MAX_FAILURES],
            answered_at_ms=int(self._clock() * 1000),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coming:
    """What the bundle itself would bring before the rest: namespaces and kinds."""

    namespaces: frozenset[str]
    kinds: frozenset[Kind]

    def mends(self, error: KnarrError, step: Step) -> bool:
        """Whether the server's refusal would be over once the steps before this one are done."""
        if error.code == "KNR4010":
            return step.ref.of_kind in self.kinds
        return error.code == "KNR4016" and step.ref.namespace in self.namespaces

    @staticmethod
    def of(bundle: Bundle) -> _Coming:
        places, kinds = {bundle.header.namespace} - {""}, set()
        for manifest in bundle.objects:
            ref, spec = ref_of(manifest), manifest.get("spec") or {}
            if ref.kind == "Namespace":
                places.add(ref.name)
            elif ref.kind == "CustomResourceDefinition":
                kinds.add(Kind(str(spec.get("group", "")), str((spec.get("names") or {}).get("kind", ""))))
        return _Coming(namespaces=frozenset(places), kinds=frozenset(kinds))


def _steps(plan: Plan, results: list[_Tried]) -> tuple[PlannedStep, ...]:
    """In the plan's order; beyond five hundred what changes nothing is left out first."""
    shown = results
    if len(shown) > _MAX_STEPS:
        shown = [r for r in results if r.step.action is not StepAction.UNCHANGED]
    steps = [
        PlannedStep(
            action=r.step.action,
            object_id=r.step.ref.id,
            stage=r.step.stage,
            reason=r.step.reason,
            differences=r.paths,
        )
        for r in shown[:_MAX_STEPS]
    ]
    if len(results) > len(steps):
        left_out = f"{len(results) - len(steps)} more steps of {plan.app} are not listed"
        steps.append(PlannedStep(action=StepAction.SKIP, reason=left_out))
    return tuple(steps)
