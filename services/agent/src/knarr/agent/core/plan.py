"""What to do to get there: from bundle, inventory and live state to an ordered list of named steps.

Pure. The flow carries the steps out up to the first wait that does not hold, and plans again when something changed;
so nothing ever waits for what is no longer wanted (I6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from knarr.agent.core.budget import approval_for, deletions, over_budget, untouchable
from knarr.agent.core.health import HealthStatus
from knarr.agent.core.hooks import Hook, HookRun, Phase, hooks_of, ids_of, marked
from knarr.agent.core.ignored import owned_by_others, pointers_for, yielding
from knarr.agent.core.inventory import Entry, Inventory, content_of, is_settled, ref_to
from knarr.agent.core.objects import Ref, Seen, ref_of
from knarr.agent.core.ordering import Stage, in_apply_order, is_waited_for, removal_rank, stage_of, wave_of
from knarr.agent.core.ownership import lost_paths, mark_of
from knarr.bundle.canonical import Object
from knarr.bundle.header import Conflicts, Header, Takeover
from knarr.bundle.hooks import is_hook
from knarr.pipeline.assignment import Approval
from knarr.pipeline.errors import CATALOGUE
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import AGENT_NAMESPACE, OWNER_LABEL, AppName, ObjectId
from knarr.pipeline.report import StepAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do. `manifest` (with our label) is what an apply sends; it is left out when a step is printed.

    A strict wait (between waves) also waits for what failed; the others let the rest go on. `postponed` is looked at
    again when more is known; `left_alone` is drift that is not healed. `mark` is the new fingerprint of an object of
    which others took only fields that the app ignores.
    """

    action: StepAction
    ref: Ref
    wave: int = 0
    stage: int = 0
    reason: str = ""
    force: bool = False
    heals: bool = False
    strict: bool = False
    postponed: bool = False
    left_alone: bool = False
    uid: str = ""
    failure: Failure | None = None
    content: bytes = b""
    mark: bytes = b""
    hook: Hook | None = field(default=None, repr=False, compare=False)
    manifest: Object | None = field(default=None, repr=False, compare=False)

    @property
    def writes(self) -> bool:
        """Whether it changes the cluster."""
        return self.action in _WRITES


_WRITES = frozenset(
    {StepAction.CREATE, StepAction.CONFIGURE, StepAction.ADOPT, StepAction.PRUNE, StepAction.RECREATE, StepAction.HOOK}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in order. `held` says why deletions wait for an approval."""

    app: AppName
    digest: bytes
    steps: tuple[Step, ...]
    held: Failure | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing needs doing."""
        return not any(step.writes for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a plan depends on.

    `live` knows every object of bundle and inventory that exists. `claims` are the objects that other assigned apps'
    bundles hold, `pending` the apps whose new bundle is not known yet; `prune_allowed` is false while there are such.
    `resting` are fought-over objects. `metadata` (with managedFields) is known of live objects that are not as they
    were applied and of which the app ignores fields. `hooks` are the newest runs; `installed` is true once a bundle
    was applied whole.
    """

    app: AppName
    digest: bytes
    header: Header
    objects: tuple[Object, ...]
    inventory: Inventory
    live: Mapping[ObjectId, Seen]
    metadata: Mapping[ObjectId, Mapping[str, Any]] = field(default_factory=dict)
    hooks: Mapping[str, HookRun] = field(default_factory=dict)
    installed: bool = False
    claims: Mapping[ObjectId, AppName] = field(default_factory=dict)
    pending: frozenset[AppName] = frozenset()
    approvals: tuple[Approval, ...] = ()
    resting: frozenset[ObjectId] = frozenset()
    prune_allowed: bool = True
    removal: bool = False
    own_namespace: str = AGENT_NAMESPACE


def make_plan(situation: Situation) -> Plan:
    """The ordered steps for one app."""
    steps: list[Step] = []
    wanted: set[ObjectId] = set()
    waiting: list[Step] = []
    place: tuple[int, int] | None = None
    for manifest in in_apply_order(o for o in situation.objects if not is_hook(o)):
        step = _apply_step(situation, manifest)
        if place is not None and (step.wave, step.stage) != place:
            steps += _waits(waiting, new_wave=step.wave != place[0])
            waiting = [] if step.wave != place[0] else [s for s in waiting if not is_waited_for(s.ref.of_kind)]
        place = (step.wave, step.stage)
        steps.append(step)
        waiting.append(step)
        wanted.add(step.ref.id)
    removals, held = _removals(situation, wanted | ids_of(situation.objects))
    before, after = _hooks(situation, Phase.PRE), _hooks(situation, Phase.POST)
    steps = [*before, *steps, *removals, *after]
    return Plan(app=situation.app, digest=situation.digest, steps=tuple(steps), held=held)


def _hooks(situation: Situation, phase: Phase) -> list[Step]:
    due = hooks_of(situation.objects, installed=situation.installed)
    return [_hook_step(situation, hook) for hook in due if hook.phase is phase]


def _hook_step(situation: Situation, hook: Hook) -> Step:
    step = Step(action=StepAction.HOOK, ref=hook.ref, wave=hook.weight, reason=f"{hook.phase.value} hook", hook=hook)
    run = situation.hooks.get(hook.key)
    if run is not None and run.is_over(situation.digest):
        return replace(step, action=StepAction.UNCHANGED, reason=f"{hook.phase.value} hook has run for this bundle")
    if holder := situation.claims.get(hook.ref.id):
        return _skipped(step, "KNR4021", f"app {holder} of this cluster holds it")
    return replace(step, manifest=owned(marked(hook.manifest, situation.digest, hook.phase), situation.app))


def _apply_step(situation: Situation, plain: Object) -> Step:
    ref, content = ref_of(plain), content_of(plain)
    entry, seen = situation.inventory.get(ref.id), situation.live.get(ref.id)
    step = Step(
        action=StepAction.UNCHANGED,
        ref=ref,
        wave=wave_of(plain),
        stage=stage_of(ref.of_kind),
        force=situation.header.conflicts is Conflicts.FORCE,
        content=content,
    )
    if entry is not None and is_settled(entry, content, seen):
        return step
    if (holder := situation.claims.get(ref.id)) in situation.pending:
        return replace(step, action=StepAction.SKIP, reason=f"app {holder} may let go of it", postponed=True)
    if holder:
        return _skipped(step, "KNR4021", f"app {holder} of this cluster holds it")
    sent = replace(step, manifest=owned(plain, situation.app))
    if seen is None:
        return _absent(sent, entry, situation)
    if seen.deleting:
        held = ", ".join(seen.finalizers) or "its deletion"
        return _skipped(step, "KNR4024", f"it is being deleted and waits for {held}")
    if (seen.owner == situation.app and seen.mark) or (entry is not None and entry.uid == seen.uid):
        return _ours(_yielded(sent, situation, taking_over=False), entry, seen, situation)
    sent = _yielded(sent, situation, taking_over=True)
    if seen.owner and seen.owner != situation.app:
        return replace(sent, action=StepAction.CONFIGURE, reason=f"moves here from app {seen.owner}", force=True)
    return _somebody_elses(sent, seen, situation)


def _yielded(step: Step, situation: Situation, *, taking_over: bool) -> Step:
    """Without the ignored fields that others own."""
    known = situation.metadata.get(step.ref.id)
    if known is None or step.manifest is None:
        return step
    others = owned_by_others(known, taking_over=taking_over)
    return replace(step, manifest=yielding(step.manifest, pointers_for(situation.header, step.ref), others))


def _absent(step: Step, entry: Entry | None, situation: Situation) -> Step:
    if entry is None or not entry.uid or entry.content != step.content:
        return replace(step, action=StepAction.CREATE, reason="new", force=False)
    if not situation.header.heal:
        return replace(step, action=StepAction.SKIP, reason="it was deleted; healing is off", left_alone=True)
    return replace(step, action=StepAction.CREATE, reason="it was deleted in the cluster", heals=True, force=False)


def _ours(step: Step, entry: Entry | None, seen: Seen, situation: Situation) -> Step:
    uid = seen.uid
    if entry is None or not entry.mark:
        return replace(step, action=StepAction.CONFIGURE, reason="applied before, not recorded", uid=uid)
    if entry.content != step.content:
        return replace(step, action=StepAction.CONFIGURE, reason="changed in the bundle", uid=uid)
    if (known := situation.metadata.get(step.ref.id)) is not None and not lost_paths(step.manifest or {}, known):
        return replace(step, reason="others took only fields that the app ignores", mark=mark_of(known), manifest=None)
    if not situation.header.heal:
        return replace(step, action=StepAction.SKIP, reason="it was changed; healing is off", left_alone=True)
    if step.ref.id in situation.resting:
        return replace(step, action=StepAction.SKIP, reason="changed back again and again", left_alone=True)
    return replace(step, action=StepAction.CONFIGURE, reason="it was changed in the cluster", heals=True, uid=uid)


def _somebody_elses(step: Step, seen: Seen, situation: Situation) -> Step:
    if situation.header.takeover is Takeover.NEVER:
        refused = _skipped(step, "KNR4022", "it exists already and the app's takeover policy is Never")
        return replace(refused, manifest=step.manifest)  # for the diff in the report
    reason = "exists already; takeover " + situation.header.takeover.value
    return replace(step, action=StepAction.ADOPT, reason=reason, uid=seen.uid, force=True)


def _waits(before: list[Step], *, new_wave: bool) -> list[Step]:
    return [
        replace(s, action=StepAction.WAIT, reason="what follows needs it", manifest=None, mark=b"", strict=new_wave)
        for s in before
        if s.action is not StepAction.SKIP and (new_wave or is_waited_for(s.ref.of_kind))
    ]


def _removals(situation: Situation, wanted: set[ObjectId]) -> tuple[list[Step], Failure | None]:
    leaving = {i: e for i, e in situation.inventory.items() if i not in wanted and i not in situation.claims}
    if not leaving:
        return [], None
    if not situation.removal and not situation.header.prune:
        return [_skip_removal(i, e, "pruning is off for this app") for i, e in leaving.items()], None
    if not situation.prune_allowed:
        why = "waits until every app's bundle is known"
        return [replace(_skip_removal(i, e, why), postponed=True) for i, e in leaving.items()], None
    planned = deletions(situation.inventory, wanted | set(situation.claims), app_removed=situation.removal)
    approval = approval_for(situation.approvals, situation.app, situation.digest, removal=situation.removal)
    if refused := over_budget(planned, approval):
        code, why = refused
        return [_skip_removal(i, e, "waits for an approval") for i, e in leaving.items()], failure(code, why)
    ordered = sorted(leaving.items(), key=lambda item: (*removal_rank(item[0], item[1].wave), item[0]))
    return [_removal(situation, identity, entry) for identity, entry in ordered], None


def _removal(situation: Situation, identity: ObjectId, entry: Entry) -> Step:
    seen = situation.live.get(identity)
    if untouchable(identity, situation.own_namespace):
        return _skip_removal(identity, entry, "this namespace is never pruned")
    if seen is not None and seen.keep:
        return _skip_removal(identity, entry, "kept by its annotation")
    if seen is not None and entry.uid and seen.uid != entry.uid:
        return _skip_removal(identity, entry, "it was replaced by another object of that name")
    if seen is not None and seen.owner and seen.owner != situation.app:
        return _skip_removal(identity, entry, f"app {seen.owner} has it now")
    ref = ref_to(identity, entry)
    stage = stage_of(ref.of_kind)
    uid = entry.uid or _uid_of_unrecorded(seen, situation.app)
    return Step(action=StepAction.PRUNE, ref=ref, wave=entry.wave, stage=stage, reason="left the bundle", uid=uid)


def _uid_of_unrecorded(seen: Seen | None, app: AppName) -> str:
    """Killed between apply and record: what we applied and carries our label is what was written ahead."""
    return seen.uid if seen is not None and seen.owner == app and seen.mark else ""


def _skip_removal(identity: ObjectId, entry: Entry, why: str) -> Step:
    ref = ref_to(identity, entry)
    return Step(action=StepAction.SKIP, ref=ref, wave=entry.wave, stage=Stage.REST, reason=why, uid=entry.uid)


def _skipped(step: Step, code: str, why: str) -> Step:
    return replace(
        step, action=StepAction.SKIP, reason=why, manifest=None, failure=failure(code, why, object_id=step.ref.id)
    )


def failure(code: str, message: str, *, object_id: str = "", retryable: bool = False) -> Failure:
    """A numbered failure as a value: a policy refusal is no exception."""
    known = CATALOGUE.get(code)
    return Failure(
        code=code,
        message=message,
        object_id=object_id,
        next_step=known.next_step if known else "",
        retryable=retryable,
    )


def owned(manifest: Object, app: AppName) -> Object:
    """The manifest with our ownership label."""
    metadata = manifest.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), OWNER_LABEL: app}
    return {**manifest, "metadata": {**metadata, "labels": labels}}


def holds(step: Step, seen: Seen | None) -> bool:
    """Whether a wait is over."""
    return seen is not None and seen.health.status is HealthStatus.CURRENT
