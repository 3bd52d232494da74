"""What to do to get there: from bundle, inventory and live state to an ordered list of named steps.

Pure. The flow carries the steps out up to the first wait that does not hold, and plans again when something changed;
so nothing ever waits for what is no longer wanted (I6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from knarr.agent.core.budget import (
    Deletions,
    Past,
    approval_of,
    approval_of_removal,
    over_budget,
    protected,
    room,
    untouchable,
    why_not,
)
from knarr.agent.core.health import HealthStatus
from knarr.agent.core.hooks import RUN_ANNOTATION, Hook, HookRun, Phase, hooks_of
from knarr.agent.core.ignored import owned_by_others, pointers_for, yielding
from knarr.agent.core.inventory import Entry, Inventory, content_of, is_settled, ref_to
from knarr.agent.core.objects import Kind, Ref, Seen, ref_of
from knarr.agent.core.ordering import Stage, in_apply_order, is_waited_for, removal_rank, stage_of, wave_of
from knarr.agent.core.ownership import lost_paths, mark_of
from knarr.bundle.bounds import breach
from knarr.bundle.budget import Budget, lost
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
    which others took only fields that the app ignores. `may_recreate`: it may be deleted to be created again. `beside`:
    its failure holds nothing back.
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
    may_recreate: bool = False
    beside: bool = False
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


_BUDGET, _NOTHING = Budget(), Past()
RECREATED = "an immutable field changed"
NAMESPACE = Kind("", "Namespace")
_WRITES = frozenset(
    {StepAction.CREATE, StepAction.CONFIGURE, StepAction.ADOPT, StepAction.PRUNE, StepAction.RECREATE, StepAction.HOOK}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps in order. `held` says why deletions wait for an approval.

    `lost`: what it deletes counts in the budget from now on, unless `approved`. `renamed`: what leaves is no loss, as
    the same object came under another hash suffix. `room`: so many objects may be recreated unasked; None: any number.
    """

    app: AppName
    digest: bytes
    steps: tuple[Step, ...]
    held: Failure | None = None
    lost: frozenset[ObjectId] = frozenset()
    renamed: frozenset[ObjectId] = frozenset()
    approved: bool = False
    room: int | None = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing needs doing."""
        return not any(step.writes for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a plan depends on.

    `live` knows every object of bundle and inventory that exists. `claims` are the objects that other assigned apps'
    bundles hold, `moved` those of the inventory that are ordinary objects there; `pending` are apps whose new bundle
    is not known yet; `prune_allowed` is false while there are such. `resting` are fought-over objects. `metadata` (with
    managedFields) is known of live objects that are not as they were applied and of which the app ignores fields.
    `hooks` are the newest runs; `installed` is true once a bundle was applied whole. `past` and `origins` (of the apps
    that some objects came from) count along in the budget; `renamed` as in `Plan`, of earlier plans. Of a removal,
    `since` is the tombstone's generation and `assigned` the bundle that was assigned last, begun or not.
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
    moved: frozenset[ObjectId] = frozenset()
    pending: frozenset[AppName] = frozenset()
    approvals: tuple[Approval, ...] = ()
    resting: frozenset[ObjectId] = frozenset()
    prune_allowed: bool = True
    removal: bool = False
    assigned: bytes = b""
    since: int = 0
    own_namespace: str = AGENT_NAMESPACE
    budget: Budget = _BUDGET
    past: Past = _NOTHING
    origins: tuple[Past, ...] = ()
    renamed: frozenset[ObjectId] = frozenset()


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
    going = _removals(situation, wanted)
    before, after = _hooks(situation, Phase.PRE, going), _hooks(situation, Phase.POST, going)
    # What was ordinary and is to run before all else goes before it; the rest once all is applied.
    due = {step.ref.id for step in before if step.action is StepAction.HOOK}
    first = [step for step in going.steps if step.ref.id in due]
    last = [step for step in going.steps if step.ref.id not in due]
    return Plan(
        app=situation.app,
        digest=situation.digest,
        steps=(*first, *before, *steps, *last, *after),
        held=going.held,
        lost=going.lost,
        renamed=going.renamed,
        approved=going.approved,
        room=going.room,
    )


def _hooks(situation: Situation, phase: Phase, going: Removals) -> list[Step]:
    due = hooks_of(situation.objects, installed=situation.installed)
    return [_hook_step(situation, hook, going) for hook in due if hook.phase is phase]


def _hook_step(situation: Situation, hook: Hook, going: Removals) -> Step:
    step = Step(action=StepAction.HOOK, ref=hook.ref, wave=hook.weight, reason=f"{hook.phase.value} hook", hook=hook)
    run, identity = situation.hooks.get(hook.key), hook.ref.id
    if protected(identity):
        return _skipped(step, "KNR4034", "a hook's object comes and goes, and objects of this kind take others along")
    if why := breach(situation.header.bounds, hook.manifest, own_namespace=situation.own_namespace):
        return _skipped(step, "KNR4035", why)
    if run is not None and run.is_over(situation.digest) and identity not in situation.inventory:
        return replace(step, action=StepAction.UNCHANGED, reason=f"{hook.phase.value} hook has run for this bundle")
    if holder := situation.claims.get(identity):
        return _skipped(step, "KNR4021", f"app {holder} of this cluster holds it")
    if (leaving := going.of(identity)) is not None and leaving.action is not StepAction.PRUNE:
        return _still_ordinary(step, leaving, going)
    return replace(step, manifest=owned(hook.manifest, situation.app))


def _still_ordinary(step: Step, leaving: Step, going: Removals) -> Step:
    """What the app has as an ordinary object runs only once that has left the inventory, as any other leaves it."""
    why = f"it is an ordinary object of the app still: {leaving.reason}"
    if leaving.postponed or going.held is not None:
        return replace(step, action=StepAction.SKIP, reason=why, postponed=leaving.postponed)
    return _skipped(step, "KNR4033", why)


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
    if why := breach(situation.header.bounds, plain, own_namespace=situation.own_namespace):
        return _skipped(step, "KNR4035", why)
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
        found = _ours(_yielded(sent, situation, taking_over=False), entry, seen, situation)
        return replace(found, may_recreate=_may_recreate(found, seen, situation))
    sent = _yielded(sent, situation, taking_over=True)
    if seen.owner and seen.mark and seen.owner != situation.app:
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


def _may_recreate(step: Step, seen: Seen, situation: Situation) -> bool:
    """Only what is ours already, may be deleted at all, and takes nothing with it."""
    if not situation.header.recreate or step.action is not StepAction.CONFIGURE or not step.uid or seen.keep:
        return False
    return not protected(step.ref.id) and not untouchable(step.ref.id, situation.own_namespace)


def _somebody_elses(step: Step, seen: Seen, situation: Situation) -> Step:
    if step.ref.of_kind == NAMESPACE and not seen.made_for_apps and not situation.header.bounds.adopt_namespaces:
        return not_adopted(step)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Removals:
    """The steps for what leaves the inventory; the rest as in `Plan`."""

    steps: tuple[Step, ...] = ()
    held: Failure | None = None
    lost: frozenset[ObjectId] = frozenset()
    renamed: frozenset[ObjectId] = frozenset()
    approved: bool = False
    room: int | None = 0

    def of(self, identity: ObjectId) -> Step | None:
        """What becomes of an object that leaves."""
        return next((step for step in self.steps if step.ref.id == identity), None)


def _removals(situation: Situation, wanted: set[ObjectId]) -> Removals:
    """`wanted` are the bundle's ordinary objects: what becomes a hook leaves like any other object."""
    leaving = {i: e for i, e in situation.inventory.items() if i not in wanted and i not in situation.moved}
    before, after = frozenset(situation.inventory), wanted | situation.moved
    counted = lost(before - situation.renamed, after) if leaving else frozenset()
    renamed = frozenset(leaving).difference(counted) | (situation.renamed - before)
    if leaving and not situation.removal and not situation.header.prune:
        found = _kept(situation, leaving, "pruning is off for this app")
    elif leaving and not situation.prune_allowed:
        found = _kept(situation, leaving, "waits until every app's bundle is known", postponed=True)
    else:
        found = _within_budget(situation, wanted, leaving, counted)
    return replace(found, renamed=renamed, approved=_approval(situation) is not None)


def _kept(situation: Situation, leaving: Inventory, why: str, *, postponed: bool = False) -> Removals:
    steps = tuple(replace(_skip_removal(i, e, why), postponed=postponed) for i, e in leaving.items())
    has = len(situation.inventory)
    return Removals(steps=steps, room=_room(situation, Deletions(has=has, stays=has), situation.past))


def _within_budget(
    situation: Situation, wanted: set[ObjectId], leaving: Inventory, counted: frozenset[str]
) -> Removals:
    ordered = sorted(leaving.items(), key=lambda item: (*removal_rank(item[0], item[1].wave), item[0]))
    steps = tuple(_removal(situation, identity, entry) for identity, entry in ordered)
    going = frozenset(s.ref.id for s in steps if s.action is StepAction.PRUNE and s.ref.id in counted)
    back = (situation.past.gone & wanted).difference(situation.inventory)
    past = replace(situation.past, gone=situation.past.gone - wanted)
    has = len(situation.inventory) + len(back)
    planned = Deletions(has=has, stays=len(wanted), going=going, removed=situation.removal)
    approval, refused = _approval(situation), None
    if going or (situation.removal and steps):
        refused = over_budget(planned, past, situation.origins, situation.budget, approval)
    if refused is None:
        return Removals(steps=steps, lost=going, room=_room(situation, planned, past))
    code, why = refused
    why += why_not(situation.approvals, situation.app) if situation.removal and approval is None else ""
    waiting = tuple(_waiting(step) if step.action is StepAction.PRUNE else step for step in steps)
    left = _room(situation, replace(planned, going=frozenset()), past)
    return Removals(steps=waiting, held=failure(code, why), room=left)


def _room(situation: Situation, planned: Deletions, past: Past) -> int | None:
    if not situation.header.recreate:
        return 0
    return None if _approval(situation) is not None else room(planned, past, situation.budget)


def _approval(situation: Situation) -> Approval | None:
    if situation.removal:
        here = (situation.digest, situation.assigned)
        return approval_of_removal(situation.approvals, situation.app, here, situation.since)
    return approval_of(situation.approvals, situation.app, situation.digest)


def _waiting(step: Step) -> Step:
    return replace(step, action=StepAction.SKIP, reason="waits for an approval", stage=Stage.REST)


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


def too_many(count: int) -> Failure:
    """Why objects are not recreated unasked: it deletes them too."""
    return failure("KNR4030", f"{count} objects would be deleted to be created again, beside what went lately")


def not_adopted(step: Step) -> Step:
    """An existing Namespace stays as it is, and nothing waits for it: what lies in it goes on."""
    why = (
        f"namespace {step.ref.name} exists already and Knarr has not made it; with `bounds.adoptNamespaces: true` for "
        "this source in fleet.yaml it becomes the app's"
    )
    return replace(_skipped(step, "KNR4036", why), beside=True)


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
    """The manifest with our ownership label, and without a hook's mark: that one is written by runs alone."""
    metadata = manifest.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), OWNER_LABEL: app}
    changed: dict[str, Any] = {**metadata, "labels": labels}
    if RUN_ANNOTATION in (metadata.get("annotations") or {}):
        changed["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != RUN_ANNOTATION}
    return {**manifest, "metadata": changed}


def holds(step: Step, seen: Seen | None) -> bool:
    """Whether a wait is over."""
    return seen is not None and seen.health.status is HealthStatus.CURRENT
