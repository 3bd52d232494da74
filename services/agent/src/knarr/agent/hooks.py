"""Running hooks: one step further at each pass, from creating the object to its end.

Called by perform for the hook steps of a plan; what it returns is remembered by reconcile. A run is recognised by an
annotation on its object, so that a kill at any instant neither repeats nor loses it. A hook deletes nothing but what a
run of this agent created (I2): the annotation is a stamp that nobody else can write.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from knarr.agent.core.budget import protected, untouchable
from knarr.agent.core.hooks import (
    Hook,
    HookRun,
    Outcome,
    is_stamp,
    mark_in,
    marked,
    outcome_of,
    run_name,
    runs_to_completion,
    stamp,
)
from knarr.agent.core.objects import Ref
from knarr.agent.core.plan import Step
from knarr.agent.ports import As, Cluster
from knarr.bundle.canonical import Object
from knarr.bundle.hooks import BEFORE_CREATION
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import OWNER_LABEL, PRUNE_ANNOTATION, AppName, ObjectId, split_object_id

# Whether an object is in an inventory, or in the assigned bundle of another app than the given one.
Held = Callable[[ObjectId, AppName], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What hooks of this agent may delete: what carries a stamp of `secret`, and no app's inventory holds."""

    secret: bytes
    held: Held
    own_namespace: str


class HookRunner:
    """One per agent."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float], limits: Limits) -> None:
        self._cluster = cluster
        self._clock = clock
        self._limits = limits

    async def advance(
        self, step: Step, digest: bytes, run: HookRun | None, deadline_seconds: float, who: As
    ) -> HookRun:
        """One step further; failed when its deadline has passed.

        KNR4022 when somebody else's object has its name, KNR4038 when one of the app has that no run created; else
        what the API server refuses.
        """
        further = await self._further(step, digest, run, who)
        late = self._clock() >= further.since_ms / 1000 + deadline_seconds
        if further.outcome != Outcome.RUNNING.value or not late:
            return further
        return replace(further, outcome=Outcome.FAILED.value, late=True)

    async def _further(self, step: Step, digest: bytes, run: HookRun | None, who: As) -> HookRun:
        hook = step.hook
        assert hook is not None
        known = run if run is not None and run.digest == digest.hex() else None
        found = await self._cluster.get(step.ref, who=who)
        if known is not None and known.outcome == Outcome.FAILED.value:
            if found is not None or not known.uid:
                return known
            known = None  # somebody deleted what failed, to have it run again
        fresh = known or self._begun(hook, digest)
        if found is not None and self._is_of_run(found, hook, digest, known):
            return _judged(fresh, found, step.ref)
        if found is not None and (waits := await self._make_room(step, found, run, who)):
            return replace(fresh, outcome=Outcome.RUNNING.value, message=waits)
        begun = replace(self._begun(hook, digest), since_ms=fresh.since_ms)
        return await self._apply(step, run_name(digest, hook.phase), begun, who)

    async def _apply(self, step: Step, name: str, begun: HookRun, who: As) -> HookRun:
        """Stamped only where the run creates the object: what was there before it, no hook deletes."""
        assert step.manifest is not None
        identity, proof = step.ref.id, stamp(self._limits.secret, step.ref.id, name)
        found = await self._cluster.get(step.ref, metadata_only=True, who=who)
        ours = found is None or is_stamp(self._limits.secret, identity, mark_in(found))
        mark, over = proof if ours else name, found is not None
        done = await self._cluster.apply(marked(step.manifest, mark), force=over, who=who)
        if not over and not done.created:  # somebody made it at this moment
            done = await self._cluster.apply(marked(step.manifest, name), force=False, who=who)
        return _judged(begun, done.found, step.ref)

    def _is_of_run(self, found: Object, hook: Hook, digest: bytes, known: HookRun | None) -> bool:
        """By its stamp; without one (an agent before this one, or nothing created) only as it was recorded."""
        mark, name = mark_in(found), run_name(digest, hook.phase)
        if mark == stamp(self._limits.secret, hook.ref.id, name):
            return True
        return mark == name and known is not None and known.uid == _uid(found)

    async def cleaned(
        self, app: AppName, runs: Mapping[str, HookRun], hooks: Collection[str], bundle: Collection[str], who: As
    ) -> dict[str, HookRun]:
        """The runs, after deleting the objects that their policies want gone, or that the bundle no longer has.

        `hooks` and `bundle` are object ids: of the bundle's hooks, and of all that it has.
        """
        kept: dict[str, HookRun] = {}
        for key, run in runs.items():
            if run.object_id in hooks:
                kept[key] = await self._clean(app, run, who) if run.leaves else run
            elif run.uid and run.object_id not in bundle:
                await self._clean(app, run, who)
        return kept

    async def _clean(self, app: AppName, run: HookRun, who: As) -> HookRun:
        """Without its UID afterwards: also where its object stays, because it is not the hook's to delete."""
        _, kind, namespace, name = split_object_id(run.object_id)
        ref = Ref(api_version=run.api_version, kind=kind, namespace=namespace, name=name)
        found = await self._cluster.get(ref, metadata_only=True, who=who)
        if found is not None and _uid(found) == run.uid and not self._why_it_stays(found, ref, app, run):
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

    async def _make_room(self, step: Step, found: Object, run: HookRun | None, who: As) -> str:
        """Deletes the object of an earlier run where a new run needs that; what is waited for, if anything."""
        hook, manifest, ref = step.hook, step.manifest, step.ref
        assert hook is not None
        assert manifest is not None
        app = AppName(manifest["metadata"]["labels"][OWNER_LABEL])
        if _owner(found) != app:
            raise rejected("KNR4022", "an object of the hook's name exists and is not this app's", object_id=ref.id)
        why = self._why_it_stays(found, ref, app, run)
        if why and (runs_to_completion(ref) or not mark_in(found) or self._limits.held(ref.id, app)):
            raise rejected("KNR4038", f"an object of the hook's name exists, and {why}", object_id=ref.id)
        if why or (BEFORE_CREATION not in hook.policies and not runs_to_completion(ref)):
            return ""  # applied over, and never deleted, unless a run created it
        if await self._cluster.delete(ref, uid=_uid(found), who=who) is None:
            return ""
        return "the object of an earlier run is being deleted"

    def _why_it_stays(self, found: Object, ref: Ref, app: AppName, run: HookRun | None) -> str:
        """Why no hook may delete the object; empty when it may."""
        annotations = (found.get("metadata") or {}).get("annotations") or {}
        if protected(ref.id) or untouchable(ref.id, self._limits.own_namespace):
            return "no hook deletes objects of this kind or namespace"
        if _owner(found) != app:
            return "it is not this app's"
        if self._limits.held(ref.id, app):
            return "an app has it as an ordinary object"
        if annotations.get(PRUNE_ANNOTATION) == "keep":
            return "its annotation says that it is kept"
        if is_stamp(self._limits.secret, ref.id, mark_in(found)) or _is_of_older_agent(found, ref, run):
            return ""
        return "no run of a hook created it"


def _is_of_older_agent(found: Object, ref: Ref, run: HookRun | None) -> bool:
    """Agents before stamps always created Jobs and Pods anew, and recorded them: those are their runs' own."""
    if run is None or not run.uid or run.uid != _uid(found) or not runs_to_completion(ref):
        return False
    name, _, phase = mark_in(found).partition(".")
    return name == run.digest[:32] and "." not in phase


def _judged(run: HookRun, found: Object, ref: Ref) -> HookRun:
    outcome, message = outcome_of(found, ref)
    return replace(run, outcome=outcome.value, message=message, uid=_uid(found))


def _uid(found: Object) -> str:
    return str((found.get("metadata") or {}).get("uid", ""))


def _owner(found: Object) -> str:
    return str(((found.get("metadata") or {}).get("labels") or {}).get(OWNER_LABEL, ""))
