"""What holds of every plan, whatever the bundle, the inventory and the cluster.

A small model of a cluster carries plans out; the properties are those of the design: converged means nothing to do,
apply order is topological and prune its reverse, only the inventory entitles to delete, and twice equals once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.agent.core.budget import protected
from knarr.agent.core.health import CURRENT
from knarr.agent.core.inventory import Entry, content_of, entries_from_json, entries_to_json
from knarr.agent.core.objects import Seen, ref_of
from knarr.agent.core.ordering import in_apply_order, removal_rank, stage_of, wave_of
from knarr.agent.core.plan import Plan, Situation, Step, make_plan
from knarr.bundle.bounds import Bounds
from knarr.bundle.canonical import Object
from knarr.bundle.header import Header, IgnoredField, Takeover
from knarr.pipeline.assignment import Approval
from knarr.pipeline.names import AppName, ObjectId, split_object_id
from knarr.pipeline.report import StepAction

SHOP, OTHER = AppName("shop"), AppName("other")
DIGEST = b"d" * 32
KINDS = (
    ("v1", "ConfigMap", True),
    ("v1", "Secret", True),
    ("v1", "ServiceAccount", True),
    ("v1", "Namespace", False),
    ("apps/v1", "Deployment", True),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", False),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition", False),
    ("example.com/v1", "Thing", True),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", False),
)
APPROVED = (Approval(app=SHOP, digest=DIGEST, protected=True),)


@st.composite
def objects(draw: st.DrawFn) -> Object:
    version, kind, namespaced = draw(st.sampled_from(KINDS))
    metadata: dict[str, Any] = {"name": draw(st.sampled_from("abcdef"))}
    if namespaced:
        metadata["namespace"] = draw(st.sampled_from(("left", "right")))
    annotations = {}
    if wave := draw(st.sampled_from((0, 0, 0, -1, 2))):
        annotations["knarr.dev/wave"] = str(wave)
    if draw(st.integers(0, 9)) == 0:
        annotations["knarr.dev/hook"] = "pre-apply"
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "data": {"x": draw(st.sampled_from("123"))}}


def by_id(found: list[Object]) -> tuple[Object, ...]:
    return tuple({ref_of(o).id: o for o in found}.values())


BUNDLES = st.lists(objects(), max_size=14).map(by_id)


@dataclass
class World:
    """What is live, and what the app remembers."""

    live: dict[ObjectId, Seen] = field(default_factory=dict)
    inventory: dict[ObjectId, Entry] = field(default_factory=dict)
    numbers: Any = field(default_factory=itertools.count)

    def situation(self, bundle: tuple[Object, ...], **more: Any) -> Situation:
        values: dict[str, Any] = {
            "app": SHOP,
            "digest": DIGEST,
            "header": Header(app=SHOP),
            "objects": bundle,
            "inventory": dict(self.inventory),
            "live": dict(self.live),
            "approvals": APPROVED,
            **more,
        }
        return Situation(**values)

    def carry_out(self, plan: Plan, steps: int | None = None) -> None:
        """As many steps as given, as the flow would."""
        for step in plan.steps[:steps]:
            if step.action in (StepAction.CREATE, StepAction.CONFIGURE, StepAction.ADOPT):
                self._apply(step)
            elif step.action is StepAction.PRUNE:
                seen = self.live.get(step.ref.id)
                if seen is not None and seen.uid == step.uid:
                    del self.live[step.ref.id]
                self.inventory.pop(step.ref.id, None)

    def _apply(self, step: Step) -> None:
        before = self.live.get(step.ref.id)
        uid = before.uid if before else f"u{next(self.numbers)}"
        seen = Seen(uid=uid, version=next(self.numbers), owner=SHOP, mark=step.content[:12], health=CURRENT)
        self.live[step.ref.id] = seen
        self.inventory[step.ref.id] = Entry(step.ref.api_version, step.wave, step.content, uid, seen.mark)


def applied(bundle: tuple[Object, ...]) -> World:
    world = World()
    world.carry_out(make_plan(world.situation(bundle)))
    return world


def plain(bundle: tuple[Object, ...]) -> tuple[Object, ...]:
    return tuple(o for o in bundle if "knarr.dev/hook" not in (o["metadata"].get("annotations") or {}))


def pruned(plan: Plan) -> list[Step]:
    return [s for s in plan.steps if s.action is StepAction.PRUNE]


@given(BUNDLES, BUNDLES)
def test_converged_means_nothing_to_do(before: tuple[Object, ...], after: tuple[Object, ...]) -> None:
    world = applied(before)
    world.carry_out(make_plan(world.situation(plain(after))))
    again = make_plan(world.situation(plain(after)))
    assert again.is_empty
    assert {s.action for s in again.steps} <= {StepAction.UNCHANGED, StepAction.WAIT, StepAction.SKIP}
    assert {i for i in world.live if i in world.inventory} >= {ref_of(o).id for o in plain(after)}


@given(BUNDLES)
def test_the_apply_order_is_topological(bundle: tuple[Object, ...]) -> None:
    places: dict[ObjectId, int] = {}
    steps = [s for s in make_plan(World().situation(bundle)).steps if s.action is StepAction.CREATE]
    for place, step in enumerate(steps):
        places[step.ref.id] = place
    assert sorted((s.wave, s.stage) for s in steps) == [(s.wave, s.stage) for s in steps]
    found = {ref_of(o).id: o for o in plain(bundle)}
    for left, right in itertools.permutations(found.items(), 2):
        if wave_of(left[1]) == wave_of(right[1]) and _needs(right[1], left[1]):
            assert places[left[0]] < places[right[0]], f"{right[0]} needs {left[0]}"


def _needs(manifest: Object, other: Object) -> bool:
    ref, needed = ref_of(manifest), ref_of(other)
    if needed.kind == "Namespace":
        return ref.namespace == needed.name
    if needed.kind == "CustomResourceDefinition":
        return ref.kind == "Thing"
    if needed.kind == "ServiceAccount":
        return ref.kind == "Deployment" and ref.namespace == needed.namespace
    return ref.kind == "ValidatingWebhookConfiguration" and needed.kind != ref.kind


@given(BUNDLES)
def test_the_order_does_not_depend_on_how_the_bundle_lists_its_objects(bundle: tuple[Object, ...]) -> None:
    assert in_apply_order(bundle) == in_apply_order(tuple(reversed(bundle)))


@given(BUNDLES, BUNDLES)
def test_the_prune_order_is_the_reverse(before: tuple[Object, ...], after: tuple[Object, ...]) -> None:
    world = applied(before)
    steps = pruned(make_plan(world.situation(plain(after))))
    places = [(s.wave, stage_of(s.ref.of_kind)) for s in steps]
    assert places == sorted(places, reverse=True)
    assert [removal_rank(s.ref.id, s.wave) for s in steps] == sorted(removal_rank(s.ref.id, s.wave) for s in steps)


@given(BUNDLES, BUNDLES, st.data())
def test_only_the_inventory_entitles_to_delete(
    before: tuple[Object, ...], after: tuple[Object, ...], data: st.DataObject
) -> None:
    world = applied(before)
    for identity in list(world.live):
        match data.draw(st.sampled_from(("ours", "ours", "kept", "replaced", "another app's", "gone", "unknown"))):
            case "kept":
                world.live[identity] = replace(world.live[identity], keep=True)
            case "replaced":
                world.live[identity] = replace(world.live[identity], uid="another")
            case "another app's":
                world.live[identity] = replace(world.live[identity], owner="other")
            case "gone":
                del world.live[identity]
            case "unknown":
                del world.inventory[identity]
    claims = {i: OTHER for i in world.live if data.draw(st.booleans())}
    wanted = {ref_of(o).id for o in plain(after)}
    steps = pruned(make_plan(world.situation(after, claims=claims, moved=frozenset(claims))))
    assert {s.ref.id for s in steps} <= set(world.inventory) - wanted - set(claims)
    for step in steps:
        seen = world.live.get(step.ref.id)
        assert seen is None or (not seen.keep and seen.uid == step.uid and seen.owner == SHOP)


@given(BUNDLES, BUNDLES)
def test_nothing_is_deleted_unless_all_is_known_and_within_the_budget(
    before: tuple[Object, ...], after: tuple[Object, ...]
) -> None:
    world = applied(before)
    assert pruned(make_plan(world.situation(after, prune_allowed=False))) == []
    assert pruned(make_plan(world.situation(after, header=Header(app=SHOP, prune=False)))) == []
    assert pruned(make_plan(world.situation((), approvals=(), removal=True))) == []
    going = set(world.inventory) - {ref_of(o).id for o in plain(after)}
    if pruned(make_plan(world.situation(after, approvals=()))):
        assert plain(after)
        assert len(going) < 3 or len(going) * 5 <= len(world.inventory)
        assert not any(protected(i) for i in going)


@given(BUNDLES, st.sampled_from(["left", "knarr-system", "kube-system", "kube-public"]))
def test_what_lies_in_the_agent_s_or_the_cluster_s_namespace_is_never_deleted(
    before: tuple[Object, ...], where: str
) -> None:
    """An agent of before applied it there, or it lies there because the agent has moved. No approval opens that."""
    world = applied(before)
    moved = {ObjectId(i.replace("/right/", f"/{where}/")): e for i, e in world.inventory.items()}
    world.inventory, world.live = (
        moved,
        {ObjectId(i.replace("/right/", f"/{where}/")): s for i, s in world.live.items()},
    )
    steps = pruned(make_plan(world.situation((), own_namespace="left")))
    assert not [s for s in steps if s.ref.namespace in ("left", where)]
    assert {s.ref.id for s in steps} == {i for i in moved if split_object_id(i)[2] not in ("left", where)}


@given(BUNDLES, BUNDLES, st.integers(0, 20))
@settings(max_examples=200)
def test_a_kill_after_any_step_changes_nothing_of_the_end(
    before: tuple[Object, ...], after: tuple[Object, ...], cut: int
) -> None:
    straight, cut_short = applied(before), applied(before)
    straight.carry_out(make_plan(straight.situation(after)))
    cut_short.carry_out(make_plan(cut_short.situation(after)), cut)
    cut_short.carry_out(make_plan(cut_short.situation(after)))
    assert _summary(straight) == _summary(cut_short)


@given(BUNDLES, BUNDLES)
def test_a_plan_carried_out_twice_is_carried_out_once(before: tuple[Object, ...], after: tuple[Object, ...]) -> None:
    once, twice = applied(before), applied(before)
    once.carry_out(make_plan(once.situation(after)))
    plan = make_plan(twice.situation(after))
    twice.carry_out(plan)
    twice.carry_out(plan)
    assert _summary(once) == _summary(twice)


def _summary(world: World) -> Mapping[ObjectId, tuple[bytes, str]]:
    assert set(world.live) == set(world.inventory)
    return {i: (world.inventory[i].content, s.owner) for i, s in sorted(world.live.items())}


@given(BUNDLES, st.sampled_from(list(Takeover)))
def test_what_is_somebody_elses_is_never_simply_overwritten(bundle: tuple[Object, ...], takeover: Takeover) -> None:
    world = World()
    for manifest in bundle:
        world.live[ref_of(manifest).id] = Seen(uid="theirs", version=1, owner="", mark=b"", health=CURRENT)
    plan = make_plan(world.situation(plain(bundle), header=Header(app=SHOP, takeover=takeover)))
    actions = {s.action for s in plan.steps if s.action is not StepAction.WAIT and s.ref.kind != "Namespace"}
    allowed = {StepAction.SKIP} if takeover is Takeover.NEVER else {StepAction.ADOPT}
    assert actions <= allowed
    assert {s.action for s in plan.steps if s.ref.kind == "Namespace"} <= {StepAction.SKIP}
    adopting = Header(app=SHOP, takeover=takeover, bounds=Bounds(adopt_namespaces=True))
    plan = make_plan(world.situation(plain(bundle), header=adopting))
    assert {s.action for s in plan.steps if s.action is not StepAction.WAIT} <= allowed


@given(BUNDLES)
def test_drift_is_healed_or_left_alone_but_never_forgotten(bundle: tuple[Object, ...]) -> None:
    world = applied(bundle)
    world.live = {i: replace(s, mark=b"changed") for i, s in world.live.items()}
    healing = make_plan(world.situation(plain(bundle)))
    assert all(s.heals for s in healing.steps if s.action is StepAction.CONFIGURE)
    assert sum(s.action is StepAction.CONFIGURE for s in healing.steps) == len(world.inventory)
    telling = make_plan(world.situation(plain(bundle), header=Header(app=SHOP, heal=False)))
    assert telling.is_empty
    assert sum(s.left_alone for s in telling.steps) == len(world.inventory)


@given(BUNDLES)
def test_a_field_that_another_took_and_the_app_ignores_is_no_drift(bundle: tuple[Object, ...]) -> None:
    bare = tuple({**o, "metadata": {k: v for k, v in o["metadata"].items() if k != "annotations"}} for o in bundle)
    world = applied(bare)
    world.live = {i: replace(s, mark=b"changed") for i, s in world.live.items()}
    managed = [
        {"manager": "knarr", "operation": "Apply", "fieldsV1": {"f:metadata": {"f:labels": {"f:knarr.dev/app": {}}}}},
        {"manager": "somebody", "operation": "Update", "fieldsV1": {"f:data": {"f:x": {}}}},
    ]
    metadata = {i: {"managedFields": managed} for i in world.live}
    header = Header(app=SHOP, ignored_fields=(IgnoredField(pointers=("/data/x",)),))
    plan = make_plan(world.situation(bare, header=header, metadata=metadata))
    assert plan.is_empty
    assert not any(s.left_alone for s in plan.steps)
    assert sum(bool(s.mark) for s in plan.steps) == len(bare)


@given(BUNDLES)
def test_the_inventory_survives_the_store(bundle: tuple[Object, ...]) -> None:
    inventory = applied(bundle).inventory
    assert entries_from_json(entries_to_json(inventory)) == inventory
    for manifest in plain(bundle):
        assert inventory[ref_of(manifest).id].content == content_of(manifest)
