"""Fields that other appliers may own: given up where another owns them, ours otherwise, never drift."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from knarr.agent.core.ignored import owned_by_others, pointers_for, yielding
from knarr.agent.core.objects import ref_of
from knarr.agent.core.ownership import mark_of
from knarr.bundle.header import Header, IgnoredField
from knarr.bundle.packing import Bundle
from knarr.pipeline.names import AppName, ObjectId
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import Bench, bench, config_map, deployment
from knarr.testkit.agent_hub import bundle_of

REPLICAS = IgnoredField(group="apps", kind="Deployment", pointers=("/spec/replicas",))
CONTAINER = 'k:{"name":"main"}'

CASES: dict[str, tuple[Any, str, Any, Any]] = {
    "a field that another owns goes": (
        {"spec": {"replicas": 2, "paused": True}},
        "/spec/replicas",
        {"f:spec": {"f:replicas": {}}},
        {"spec": {"paused": True}},
    ),
    "a field that nobody else owns stays": (
        {"spec": {"replicas": 2}},
        "/spec/replicas",
        {"f:spec": {"f:paused": {}}},
        {"spec": {"replicas": 2}},
    ),
    "a field that another owns and nobody ignores stays": (
        {"spec": {"replicas": 2, "paused": True}},
        "/spec/replicas",
        {"f:spec": {"f:paused": {}}},
        {"spec": {"replicas": 2, "paused": True}},
    ),
    "of a map only the keys that another owns go": (
        {"metadata": {"annotations": {"mine": "1", "theirs": "2"}}},
        "/metadata/annotations",
        {"f:metadata": {"f:annotations": {".": {}, "f:theirs": {}}}},
        {"metadata": {"annotations": {"mine": "1"}}},
    ),
    "a map that is wholly another's goes": (
        {"data": {"a": "1"}, "spec": {}},
        "/data",
        {"f:data": {".": {}, "f:a": {}, "f:b": {}}},
        {"spec": {}},
    ),
    "a key with a slash": (
        {"metadata": {"annotations": {"a.b/c": "1", "d": "2"}}},
        "/metadata/annotations/a.b~1c",
        {"f:metadata": {"f:annotations": {"f:a.b/c": {}, "f:d": {}}}},
        {"metadata": {"annotations": {"d": "2"}}},
    ),
    "an item of a list, by its key": (
        {"spec": {"containers": [{"name": "main", "image": "a", "tty": True}]}},
        "/spec/containers/0/image",
        {"f:spec": {"f:containers": {CONTAINER: {".": {}, "f:name": {}, "f:image": {}}}}},
        {"spec": {"containers": [{"name": "main", "tty": True}]}},
    ),
    "what is left of an item still says which it is": (
        {"spec": {"containers": [{"name": "main", "image": "a", "tty": True}]}},
        "/spec/containers/0",
        {"f:spec": {"f:containers": {CONTAINER: {".": {}, "f:name": {}, "f:image": {}}}}},
        {"spec": {"containers": [{"name": "main", "tty": True}]}},
    ),
    "another item of the list is not meant": (
        {"spec": {"containers": [{"name": "other", "image": "a"}]}},
        "/spec/containers/0/image",
        {"f:spec": {"f:containers": {CONTAINER: {"f:image": {}}}}},
        {"spec": {"containers": [{"name": "other", "image": "a"}]}},
    ),
    "below a field that another owns as a whole": (
        {"kind": "Thing", "spec": {"settings": {"a": 1}}},
        "/spec/settings/a",
        {"f:spec": {"f:settings": {}}},
        {"kind": "Thing"},
    ),
    "a map that becomes empty goes with its last field": (
        {"kind": "Thing", "spec": {"scale": {"replicas": 2}, "paused": True}},
        "/spec/scale/replicas",
        {"f:spec": {"f:scale": {"f:replicas": {}}}},
        {"kind": "Thing", "spec": {"paused": True}},
    ),
    "a pointer to nothing": ({"spec": {}}, "/status/x", {"f:status": {"f:x": {}}}, {"spec": {}}),
    "nobody else owns anything": ({"spec": {"replicas": 2}}, "/spec/replicas", {}, {"spec": {"replicas": 2}}),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_applied(case: str) -> None:
    manifest, pointer, others, expected = CASES[case]
    assert yielding(manifest, (pointer,), others) == expected


def test_pointers_are_for_the_named_objects_only() -> None:
    header = Header(
        ignored_fields=(
            REPLICAS,
            IgnoredField(name="web", pointers=("/metadata/labels",)),
            IgnoredField(namespace="other", pointers=("/data",)),
        )
    )
    assert pointers_for(header, ref_of(deployment("web"))) == ("/spec/replicas", "/metadata/labels")
    assert pointers_for(header, ref_of(config_map("a"))) == ()


def test_who_hands_over_owns_nothing_any_more() -> None:
    managed = [
        {"manager": "helm", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "knarr", "operation": "Apply", "fieldsV1": {"f:data": {}}},
        {"manager": "hpa", "operation": "Update", "subresource": "scale", "fieldsV1": {"f:spec": {"f:size": {}}}},
    ]
    metadata = {"managedFields": managed}
    assert owned_by_others(metadata, taking_over=True) == {"f:spec": {"f:size": {}}}
    assert owned_by_others(metadata, taking_over=False) == {"f:spec": {"f:replicas": {}, "f:size": {}}}


def scaled(image: str = "shop:1", **policy: Any) -> Bundle:
    return bundle_of("shop", deployment("web", image), namespace="shop", ignored_fields=(REPLICAS,), **policy)


def spec(b: Bench) -> Any:
    found = b.get("Deployment", "web")
    return found["spec"] if found else {}


@pytest.mark.parametrize("heal", [True, False])
async def test_another_may_take_an_ignored_field(heal: bool, tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(scaled(heal=heal))
        await b.state("shop", AppState.HEALTHY)
        assert spec(b)["replicas"] == 2
        b.cluster.edit(("apps", "Deployment", "shop", "web"), {"spec": {"replicas": 7}}, "autoscaler")
        apps = b.assign(scaled("shop:2", heal=heal))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        assert spec(b)["replicas"] == 7
        assert spec(b)["template"]["spec"]["containers"][0]["image"] == "shop:2"
        report = b.hub.app("shop")
        assert report is not None
        assert report.drift == ()


async def test_taking_an_ignored_field_is_neither_healed_nor_drift_nor_a_fight(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(scaled())
        await b.state("shop", AppState.HEALTHY)
        for replicas in range(3, 12):
            b.cluster.edit(("apps", "Deployment", "shop", "web"), {"spec": {"replicas": replicas}}, "autoscaler")
        b.cluster.edit(("apps", "Deployment", "shop", "web"), {"spec": {"paused": True}}, "somebody")
        b.cluster.edit(
            ("apps", "Deployment", "shop", "web"), {"spec": {"selector": {"matchLabels": {"app": "x"}}}}, "somebody"
        )
        await b.until(lambda: (r := b.hub.app("shop")) is not None and len(r.drift) == 1)
        report = b.hub.app("shop")
        assert report is not None
        assert report.drift[0].paths == ("spec.selector.matchLabels.app",)
        assert spec(b)["replicas"] == 11
        assert spec(b)["selector"] == {"matchLabels": {"app": "web"}}


async def test_an_object_of_which_only_ignored_fields_were_taken_costs_no_write(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(scaled())
        await b.state("shop", AppState.HEALTHY)
        b.cluster.edit(("apps", "Deployment", "shop", "web"), {"spec": {"replicas": 7}}, "autoscaler")
        b.assign(scaled(), bundle_of("other", config_map("o"), namespace="shop"))
        await b.state("other", AppState.HEALTHY)
        await b.state("shop", AppState.HEALTHY)
        found = b.get("Deployment", "web")
        assert found is not None
        assert found["metadata"]["generation"] == 2  # the autoscaler's
        report = b.hub.app("shop")
        assert report is not None
        assert report.drift == ()


async def test_the_inventory_knows_the_object_as_it_is_then(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(scaled())
        await b.state("shop", AppState.HEALTHY)
        b.cluster.edit(("apps", "Deployment", "shop", "web"), {"spec": {"replicas": 7}}, "autoscaler")
        found, reconciler = b.get("Deployment", "web"), b.agent.reconciler
        assert found is not None
        assert reconciler is not None
        entries = reconciler.records[AppName("shop")].entries
        await b.until(lambda: entries[ObjectId("apps/Deployment/shop/web")].mark == mark_of(found["metadata"]))
