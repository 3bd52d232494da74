"""What every `Cluster` of the agent must do: subclass `ClusterConformance` and give it the fixtures below.

Runs on the real kube-apiserver and on the simulated cluster, so that a test on the simulated one means something.
Fixtures: `cluster` (the port), `namespace` (an existing one, for this test alone), `hand` (somebody else's hand).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytest

from knarr.agent.core.objects import Kind, Ref, ref_of, seen_of
from knarr.agent.core.ownership import changed_by, lost_paths, mark_of
from knarr.agent.ports import Cluster, Event, EventType, Selection
from knarr.bundle.canonical import Object
from knarr.pipeline.errors import KnarrError, Rejected
from knarr.pipeline.names import OWNER_LABEL

CONFIG_MAP = Kind("", "ConfigMap")
SECONDS = 20.0


class Hand(Protocol):
    """Somebody else who writes to the cluster."""

    async def edit(self, ref: Ref, patch: dict[str, Any], *, manager: str = "kubectl-edit") -> None:
        """A merge patch as that field manager."""
        ...

    async def delete(self, ref: Ref) -> None:
        """Deletes it."""
        ...


def config_map(name: str, namespace: str, labels: dict[str, str] | None = None, **data: str) -> Object:
    """A manifest."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name: str, namespace: str, **spec: Any) -> Object:
    """A manifest with an associative list."""
    labels = {"app": name}
    containers = [{"name": "main", "image": "registry.example/main:1"}]
    pod = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": pod, **spec},
    }


def definition(plural: str, kind: str) -> Object:
    """A CustomResourceDefinition that takes any spec."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.conformance.knarr.dev"},
        "spec": {
            "group": "conformance.knarr.dev",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


async def refused(cluster: Cluster, manifest: Object, *, force: bool = False) -> KnarrError:
    """The error that an apply gives."""
    with pytest.raises(KnarrError) as found:
        await cluster.apply(manifest, force=force)
    return found.value


@dataclass(frozen=True, slots=True)
class Listing:
    """All pages together."""

    items: tuple[Object, ...]
    version: str


async def everything(cluster: Cluster, what: Selection) -> Listing:
    """The whole list."""
    pages = [page async for page in cluster.pages(what)]
    assert len({page.version for page in pages}) == 1
    return Listing(tuple(item for page in pages for item in page.items), pages[0].version)


async def soon(holds: Callable[[], Awaitable[bool]]) -> None:
    """Asks again until it holds, with a deadline."""
    async with asyncio.timeout(SECONDS):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def watching(cluster: Cluster, what: Selection, version: str) -> AsyncIterator[asyncio.Queue[Event]]:
    """The events of a watch, bookmarks left out."""
    events: asyncio.Queue[Event] = asyncio.Queue()

    async def follow() -> None:
        async for event in cluster.watch(what, version):
            if event.type is not EventType.BOOKMARK:
                events.put_nowait(event)

    task = asyncio.ensure_future(follow())
    try:
        yield events
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def next_event(events: asyncio.Queue[Event]) -> Event:
    """The next event, soon."""
    async with asyncio.timeout(SECONDS):
        return await events.get()


class ClusterConformance:
    """The suite."""

    async def test_identity_is_stable(self, cluster: Cluster) -> None:
        first, second = await cluster.identity(), await cluster.identity()
        assert first == second
        assert first.uid
        assert first.version.startswith("v1.")

    async def test_known_kinds_are_served_and_unknown_ones_are_not(self, cluster: Cluster) -> None:
        assert await cluster.serves(CONFIG_MAP)
        assert await cluster.serves(Kind("apps", "Deployment"))
        assert not await cluster.serves(Kind("nowhere.example", "Nothing"))

    async def test_what_does_not_exist_is_none(self, cluster: Cluster, namespace: str) -> None:
        assert await cluster.get(ref_of(config_map("absent", namespace))) is None

    async def test_an_apply_creates_and_says_so(self, cluster: Cluster, namespace: str) -> None:
        manifest = config_map("a", namespace, {"l": "1"}, x="1")
        done = await cluster.apply(manifest, force=False)
        assert done.created
        assert done.found["data"] == {"x": "1"}
        assert done.found["metadata"]["uid"]
        assert mark_of(done.found["metadata"])
        assert lost_paths(manifest, done.found["metadata"]) == ()

    async def test_a_second_apply_of_the_same_changes_nothing(self, cluster: Cluster, namespace: str) -> None:
        first = await cluster.apply(config_map("a", namespace, x="1"), force=True)
        second = await cluster.apply(config_map("a", namespace, x="1"), force=True)
        assert not second.created
        assert second.found["metadata"]["resourceVersion"] == first.found["metadata"]["resourceVersion"]
        assert mark_of(second.found["metadata"]) == mark_of(first.found["metadata"])

    async def test_what_an_apply_leaves_out_goes(self, cluster: Cluster, namespace: str) -> None:
        await cluster.apply(config_map("a", namespace, {"l": "1"}, x="1", y="2"), force=True)
        done = await cluster.apply(config_map("a", namespace, x="1"), force=True)
        assert done.found["data"] == {"x": "1"}
        assert "labels" not in done.found["metadata"] or not done.found["metadata"]["labels"]

    async def test_a_list_item_that_an_apply_leaves_out_goes(self, cluster: Cluster, namespace: str) -> None:
        manifest = deployment("web", namespace)
        containers = manifest["spec"]["template"]["spec"]["containers"]
        containers[0]["env"] = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
        await cluster.apply(manifest, force=True)
        containers[0]["env"] = [{"name": "B", "value": "3"}]
        done = await cluster.apply(manifest, force=True)
        assert done.found["spec"]["template"]["spec"]["containers"][0]["env"] == [{"name": "B", "value": "3"}]
        assert done.found["metadata"]["generation"] == 2
        assert lost_paths(manifest, done.found["metadata"]) == ()

    async def test_another_writers_own_fields_stay(self, cluster: Cluster, namespace: str, hand: Hand) -> None:
        manifest = config_map("a", namespace, x="1")
        before = (await cluster.apply(manifest, force=True)).found
        await hand.edit(ref_of(manifest), {"data": {"y": "2"}})
        seen = await cluster.get(ref_of(manifest), metadata_only=True)
        assert seen is not None
        assert mark_of(seen["metadata"]) == mark_of(before["metadata"])
        done = await cluster.apply(manifest, force=True)
        assert done.found["data"] == {"x": "1", "y": "2"}

    async def test_an_edit_of_our_field_moves_the_mark_and_names_the_hand(
        self, cluster: Cluster, namespace: str, hand: Hand
    ) -> None:
        manifest = config_map("a", namespace, x="1", z="1")
        before = (await cluster.apply(manifest, force=True)).found
        await hand.edit(ref_of(manifest), {"data": {"x": "2"}}, manager="kubectl-edit")
        seen = await cluster.get(ref_of(manifest), metadata_only=True)
        assert seen is not None
        assert "data" not in seen
        assert mark_of(seen["metadata"]) != mark_of(before["metadata"])
        assert lost_paths(manifest, seen["metadata"]) == ("data.x",)
        assert changed_by(seen["metadata"]) == "kubectl-edit"
        healed = await cluster.apply(manifest, force=True)
        assert healed.found["data"] == {"x": "1", "z": "1"}

    async def test_a_removed_field_of_ours_moves_the_mark(self, cluster: Cluster, namespace: str, hand: Hand) -> None:
        manifest = config_map("a", namespace, x="1", z="1")
        before = (await cluster.apply(manifest, force=True)).found
        await hand.edit(ref_of(manifest), {"data": {"x": None}})
        seen = await cluster.get(ref_of(manifest), metadata_only=True)
        assert seen is not None
        assert mark_of(seen["metadata"]) != mark_of(before["metadata"])
        assert lost_paths(manifest, seen["metadata"]) == ("data.x",)

    async def test_a_conflict_is_refused_unless_forced(self, cluster: Cluster, namespace: str, hand: Hand) -> None:
        await cluster.apply(config_map("a", namespace, x="1"), force=True)
        await hand.edit(ref_of(config_map("a", namespace)), {"data": {"x": "2"}})
        error = await refused(cluster, config_map("a", namespace, x="1"))
        assert isinstance(error, Rejected)
        assert error.code == "KNR4023"
        assert "kubectl-edit" in error.message
        done = await cluster.apply(config_map("a", namespace, x="1"), force=True)
        assert done.found["data"] == {"x": "1"}

    async def test_a_dry_run_shows_and_changes_nothing(self, cluster: Cluster, namespace: str) -> None:
        ref = ref_of(config_map("a", namespace))
        shown = await cluster.apply(config_map("a", namespace, x="1"), force=True, dry_run=True)
        assert shown.found["data"] == {"x": "1"}
        assert await cluster.get(ref) is None

    async def test_managers_can_be_replaced_when_nothing_changed_meanwhile(
        self, cluster: Cluster, namespace: str, hand: Hand
    ) -> None:
        manifest = config_map("a", namespace, x="1")
        found = (await cluster.apply(manifest, force=True)).found
        renamed = [{**m, "manager": "helm"} for m in found["metadata"]["managedFields"]]
        await cluster.replace_managers(ref_of(manifest), found, renamed)
        after = await cluster.get(ref_of(manifest))
        assert after is not None
        assert [m["manager"] for m in after["metadata"]["managedFields"]] == ["helm"]
        with pytest.raises(KnarrError) as outdated:
            await cluster.replace_managers(ref_of(manifest), found, renamed)
        assert outdated.value.code == "KNR4026"

    async def test_without_shows_an_object_less_some_fields_and_changes_nothing(
        self, cluster: Cluster, namespace: str
    ) -> None:
        manifest = config_map("a", namespace, x="1", y="2")
        await cluster.apply(manifest, force=True)
        left = await cluster.without(ref_of(manifest), ["/data/y"])
        assert left["data"] == {"x": "1"}
        found = await cluster.get(ref_of(manifest))
        assert found is not None
        assert found["data"] == {"x": "1", "y": "2"}

    async def test_a_namespace_that_is_not_there_is_named(self, cluster: Cluster) -> None:
        assert (await refused(cluster, config_map("a", "not-there-at-all"))).code == "KNR4016"

    async def test_creating_a_namespace_twice_is_well(self, cluster: Cluster) -> None:
        await cluster.create_namespace("conformance-twice")
        await cluster.create_namespace("conformance-twice")
        ref = Ref(api_version="v1", kind="Namespace", namespace="", name="conformance-twice")
        found = await cluster.get(ref, metadata_only=True)
        assert found is not None
        assert seen_of(found, ref.of_kind).made_for_apps
        theirs = await cluster.get(replace(ref, name="default"), metadata_only=True)
        assert theirs is not None
        assert not seen_of(theirs, ref.of_kind).made_for_apps

    async def test_an_unknown_kind_is_named(self, cluster: Cluster, namespace: str) -> None:
        manifest = {**config_map("a", namespace), "apiVersion": "nowhere.example/v1", "kind": "Nothing"}
        assert (await refused(cluster, manifest)).code == "KNR4010"

    async def test_a_definition_makes_its_kind_served(self, cluster: Cluster, namespace: str) -> None:
        kind = Kind("conformance.knarr.dev", "Widget")
        done = await cluster.apply(definition("widgets", "Widget"), force=True)
        seen = seen_of(done.found, ref_of(done.found).of_kind)
        assert seen.uid
        await soon(lambda: cluster.serves(kind))
        capabilities = await cluster.capabilities()
        assert capabilities is not None
        assert "conformance.knarr.dev/v1/Widget" in capabilities
        assert not any(c.startswith("apps/") for c in capabilities)
        widget = {
            "apiVersion": "conformance.knarr.dev/v1",
            "kind": "Widget",
            "metadata": {"name": "w", "namespace": namespace},
            "spec": {"size": 3},
        }
        async with asyncio.timeout(SECONDS):
            while True:  # an established kind may take a moment until it can be written
                try:
                    made = await cluster.apply(widget, force=True)
                    break
                except KnarrError:
                    await asyncio.sleep(0.05)
        assert made.found["spec"] == {"size": 3}

    async def test_a_list_is_complete_and_trimmed_when_asked(self, cluster: Cluster, namespace: str) -> None:
        for number in range(5):
            labels = {OWNER_LABEL: "shop"} if number < 3 else None
            await cluster.apply(config_map(f"n{number}", namespace, labels, x="1"), force=True)
        whole = await everything(cluster, Selection(kind=CONFIG_MAP, namespace=namespace, metadata_only=False))
        ours = await everything(cluster, Selection(kind=CONFIG_MAP, namespace=namespace, label=OWNER_LABEL))
        names = {o["metadata"]["name"] for o in whole.items}
        assert {f"n{n}" for n in range(5)} <= names
        assert sorted(o["metadata"]["name"] for o in ours.items) == ["n0", "n1", "n2"]
        assert all("data" not in o for o in ours.items)
        assert all("data" in o for o in whole.items if o["metadata"]["name"] != "kube-root-ca.crt")
        assert int(whole.version) > 0

    async def test_a_watch_tells_every_change_in_order(self, cluster: Cluster, namespace: str, hand: Hand) -> None:
        what = Selection(kind=CONFIG_MAP, namespace=namespace, label=OWNER_LABEL)
        owned = config_map("a", namespace, {OWNER_LABEL: "shop"}, x="1")
        listing = await everything(cluster, what)
        async with watching(cluster, what, listing.version) as events:
            uid = (await cluster.apply(owned, force=True)).found["metadata"]["uid"]
            await cluster.apply(config_map("not-ours", namespace, x="1"), force=True)
            await hand.edit(ref_of(owned), {"data": {"x": "2"}})
            await cluster.delete(ref_of(owned), uid=uid)
            told = [await next_event(events) for _ in range(3)]
        assert [e.type for e in told] == [EventType.CHANGED, EventType.CHANGED, EventType.DELETED]
        assert {e.found["metadata"]["name"] for e in told} == {"a"}
        assert all("data" not in e.found for e in told)
        versions = [int(e.found["metadata"]["resourceVersion"]) for e in told]
        assert versions == sorted(versions)

    async def test_an_object_that_loses_its_label_leaves_the_watch(
        self, cluster: Cluster, namespace: str, hand: Hand
    ) -> None:
        what = Selection(kind=CONFIG_MAP, namespace=namespace, label=OWNER_LABEL)
        owned = config_map("a", namespace, {OWNER_LABEL: "shop"}, x="1")
        await cluster.apply(owned, force=True)
        listing = await everything(cluster, what)
        async with watching(cluster, what, listing.version) as events:
            await hand.edit(ref_of(owned), {"metadata": {"labels": {OWNER_LABEL: None}}})
            told = await next_event(events)
        assert told.type is EventType.DELETED
        assert await cluster.get(ref_of(owned)) is not None

    async def test_a_watch_resumes_where_another_ended(self, cluster: Cluster, namespace: str) -> None:
        what = Selection(kind=CONFIG_MAP, namespace=namespace)
        listing = await everything(cluster, what)
        await cluster.apply(config_map("first", namespace), force=True)
        async with watching(cluster, what, listing.version) as events:
            first = await next_event(events)
            while first.found["metadata"]["name"] != "first":
                first = await next_event(events)
        await cluster.apply(config_map("second", namespace), force=True)
        async with watching(cluster, what, first.found["metadata"]["resourceVersion"]) as events:
            second = await next_event(events)
        assert second.found["metadata"]["name"] == "second"

    async def test_a_delete_needs_the_right_uid(self, cluster: Cluster, namespace: str) -> None:
        done = await cluster.apply(config_map("a", namespace), force=True)
        ref = ref_of(done.found)
        assert await cluster.delete(ref, uid="00000000-0000-0000-0000-000000000000") is None
        assert await cluster.get(ref) is not None
        assert await cluster.delete(ref, uid=done.found["metadata"]["uid"]) is None
        assert await cluster.get(ref) is None
        assert await cluster.delete(ref, uid=done.found["metadata"]["uid"]) is None

    async def test_a_finalizer_holds_what_is_deleted(self, cluster: Cluster, namespace: str, hand: Hand) -> None:
        manifest = config_map("a", namespace)
        uid = (await cluster.apply(manifest, force=True)).found["metadata"]["uid"]
        await hand.edit(ref_of(manifest), {"metadata": {"finalizers": ["example.com/hold"]}})
        left = await cluster.delete(ref_of(manifest), uid=uid)
        assert left is not None
        seen = seen_of(left, CONFIG_MAP)
        assert seen.deleting
        assert seen.finalizers == ("example.com/hold",)
        await hand.edit(ref_of(manifest), {"metadata": {"finalizers": None}})

        async def is_gone() -> bool:
            return await cluster.get(ref_of(manifest)) is None

        await soon(is_gone)
