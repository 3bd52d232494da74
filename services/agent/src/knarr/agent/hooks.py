"""Running hooks: one step further at each pass, from creating the object to its end.

Called by perform for the hook steps of a plan; what it returns is remembered by reconcile. A run is recognised by an
annotation on its object, so that a kill at any instant neither repeats nor loses it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from knarr.agent.core.hooks import (
    RUN_ANNOTATION,
    Hook,
    HookRun,
    Outcome,
    outcome_of,
    run_name,
    runs_to_completion,
)
from knarr.agent.core.objects import Ref
from knarr.agent.core.plan import Step
from knarr.agent.ports import As, Cluster
from knarr.bundle.canonical import Object
from knarr.bundle.hooks import BEFORE_CREATION
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import OWNER_LABEL, split_object_id


class HookRunner:
    """One per agent."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float]) -> None:
        self._cluster = cluster
        self._clock = clock

    async def advance(
        self, step: Step, digest: bytes, run: HookRun | None, deadline_seconds: float, who: As
    ) -> HookRun:
        """One step further; failed when its deadline has passed.

        KNR4022 when somebody else's object has its name; else what the API server refuses.
        """
        further = await self._further(step, digest, run, who)
        late = self._clock() >= further.since_ms / 1000 + deadline_seconds
        if further.outcome != Outcome.RUNNING.value or not late:
            return further
        return replace(further, outcome=Outcome.FAILED.value, late=True)

    async def _further(self, step: Step, digest: bytes, run: HookRun | None, who: As) -> HookRun:
        hook, manifest = step.hook, step.manifest
        assert hook is not None
        assert manifest is not None
        known = run if run is not None and run.digest == digest.hex() else None
        found = await self._cluster.get(step.ref, who=who)
        if known is not None and known.outcome == Outcome.FAILED.value:
            if found is not None or not known.uid:
                return known
            known = None  # somebody deleted what failed, to have it run again
        fresh = known or self._begun(hook, digest)
        if found is not None and _run_of(found) == run_name(digest, hook.phase):
            return _judged(fresh, found, step.ref)
        if found is not None and (waits := await self._make_room(hook, manifest, found, who)):
            return replace(fresh, outcome=Outcome.RUNNING.value, message=waits)
        done = await self._cluster.apply(manifest, force=True, who=who)
        return _judged(replace(self._begun(hook, digest), since_ms=fresh.since_ms), done.found, step.ref)

    async def cleaned(
        self, runs: Mapping[str, HookRun], hooks: Collection[str], bundle: Collection[str], who: As
    ) -> dict[str, HookRun]:
        """The runs, after deleting the objects that their policies want gone, or that the bundle no longer has.

        `hooks` and `bundle` are object ids: of the bundle's hooks, and of all that it has.
        """
        kept: dict[str, HookRun] = {}
        for key, run in runs.items():
            if run.object_id in hooks:
                kept[key] = await self._clean(run, who) if run.leaves else run
            elif run.uid and run.object_id not in bundle:
                await self._clean(run, who)
        return kept

    async def _clean(self, run: HookRun, who: As) -> HookRun:
        _, kind, namespace, name = split_object_id(run.object_id)
        ref = Ref(api_version=run.api_version, kind=kind, namespace=namespace, name=name)
        await self._cluster.delete(ref, uid=run.uid, who=who)
        return replace(run, uid="")

    def _begun(self, hook: Hook, digest: bytes) -> HookRun:
        return HookRun(
            digest=digest.hex(),
            outcome=Outcome.RUNNING.value,
            object_id=hook.ref.id,
            api_version=hook.ref.api_version,
            since_ms=int(self._clock() * 1000),
            policies=tuple(sorted(hook.policies)),
        )

    async def _make_room(self, hook: Hook, manifest: Object, found: Object, who: As) -> str:
        """Deletes the object of an earlier run where a new run needs that; what is waited for, if anything."""
        ref, metadata = hook.ref, found.get("metadata") or {}
        if (metadata.get("labels") or {}).get(OWNER_LABEL) != manifest["metadata"]["labels"][OWNER_LABEL]:
            raise rejected("KNR4022", "an object of the hook's name exists and is not this app's", object_id=ref.id)
        if BEFORE_CREATION not in hook.policies and not runs_to_completion(ref):
            return ""
        if await self._cluster.delete(ref, uid=metadata.get("uid", ""), who=who) is None:
            return ""
        return "the object of an earlier run is being deleted"


def _judged(run: HookRun, found: Object, ref: Ref) -> HookRun:
    outcome, message = outcome_of(found, ref)
    uid = (found.get("metadata") or {}).get("uid", "")
    return replace(run, outcome=outcome.value, message=message, uid=uid)


def _run_of(found: Object) -> str:
    return str(((found.get("metadata") or {}).get("annotations") or {}).get(RUN_ANNOTATION, ""))
