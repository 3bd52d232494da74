"""The whole flow on a simulated cluster: assignments in, objects and reports out."""

from __future__ import annotations

from pathlib import Path

import pytest

from knarr.agent.adapters.simulated.controllers import Faults
from knarr.bundle.signing import vouches_for
from knarr.pipeline.assignment import Approval
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import bench, config_map, deployment
from knarr.testkit.agent_hub import MemoryHub, bundle_of


async def test_an_app_is_applied_and_reported_healthy(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        apps = b.assign(bundle_of("shop", config_map("a", x="1"), deployment("web"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        report = b.hub.app("shop")
        assert report is not None
        assert report.object_count == 2
        found = b.get("ConfigMap", "a")
        assert found is not None
        assert found["metadata"]["labels"] == {"knarr.dev/app": "shop"}
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)


async def test_a_changed_bundle_changes_and_prunes_only_what_it_omits(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        names = [f"n{i}" for i in range(8)]
        b.assign(bundle_of("shop", *(config_map(n, x="1") for n in names), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        apps = b.assign(bundle_of("shop", *(config_map(n, x="2") for n in names[1:]), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
        assert b.get("ConfigMap", "n0") is None
        assert all((f := b.get("ConfigMap", n)) is not None and f["data"] == {"x": "2"} for n in names[1:])


async def test_a_large_deletion_is_held_until_its_digest_is_approved(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", *(config_map(f"n{i}") for i in range(15)), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        less = bundle_of("shop", config_map("n0"), namespace="shop")
        apps = b.assign(less)
        await b.state("shop", AppState.HELD, apps["shop"].digest)
        report = b.hub.app("shop")
        assert report is not None
        assert report.failures[0].code == "KNR4030"
        assert report.held_digests == (apps["shop"].digest,)
        assert b.get("ConfigMap", "n14") is not None
        b.assign(less, approvals=(Approval(app="shop", digest=apps["shop"].digest),))
        await b.state("shop", AppState.HEALTHY)
        assert b.get("ConfigMap", "n14") is None


async def test_the_cluster_signs_its_sealing_key(tmp_path: Path) -> None:
    """With a key that stays the same across restarts: so that the hub can tell its word from a forged report."""
    said = []
    for _ in range(2):
        async with bench(tmp_path, MemoryHub("c1")) as b:
            report = b.hub.cluster_report()
            assert report is not None
            uid, sealing = report.cluster_uid, report.sealing_public_key
            signed = report.sealing_key_signature
            assert vouches_for(report.signing_public_key, signed, cluster_uid=uid, sealing_key=sealing)
            assert not vouches_for(report.signing_public_key, signed, cluster_uid="other", sealing_key=sealing)
            said.append((report.signing_public_key, sealing))
    assert said[0] == said[1]


async def test_an_edit_by_hand_is_healed_and_named(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.cluster.edit(("", "ConfigMap", "shop", "a"), {"data": {"x": "9"}}, "kubectl-edit")
        await b.eventually(lambda: (f := b.get("ConfigMap", "a")) is not None and f["data"] == {"x": "1"})
        await b.until(lambda: (r := b.hub.app("shop")) is not None and len(r.drift) == 1)
        report = b.hub.app("shop")
        assert report is not None
        entry = report.drift[0]
        assert (entry.manager, entry.paths, entry.healed) == ("kubectl-edit", ("data.x",), True)


async def test_a_deleted_object_comes_back(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.cluster.remove(("", "ConfigMap", "shop", "a"))
        await b.eventually(lambda: b.get("ConfigMap", "a") is not None)
        await b.until(lambda: (r := b.hub.app("shop")) is not None and any(d.deleted for d in r.drift))


async def test_an_object_that_moves_between_apps_is_never_deleted(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        left, right = [config_map(f"l{i}") for i in range(8)], [config_map(f"r{i}") for i in range(8)]
        moving = config_map("moving", x="1")
        b.assign(bundle_of("left", moving, *left, namespace="shop"), bundle_of("right", *right, namespace="shop"))
        await b.state("left", AppState.HEALTHY)
        await b.state("right", AppState.HEALTHY)
        before = b.get("ConfigMap", "moving")
        apps = b.assign(
            bundle_of("left", *left, namespace="shop"), bundle_of("right", moving, *right, namespace="shop")
        )
        await b.state("left", AppState.HEALTHY, apps["left"].digest)
        await b.state("right", AppState.HEALTHY, apps["right"].digest)
        after = b.get("ConfigMap", "moving")
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        assert after["metadata"]["labels"] == {"knarr.dev/app": "right"}


@pytest.mark.parametrize("order", [("left", "right"), ("right", "left")])
async def test_a_move_is_a_transfer_whichever_app_is_looked_at_first(tmp_path: Path, order: tuple[str, str]) -> None:
    """Whoever comes second to an object holds it as soon as the first lets go: it is nobody's at no moment."""
    async with bench(tmp_path) as b:
        moving = [config_map(f"moving{i}", x="1") for i in range(2)]
        stay = {name: [config_map(f"{name}{i}") for i in range(12)] for name in order}
        now = {"left": [*moving, *stay["left"]], "right": stay["right"]}
        b.assign(*(bundle_of(name, *now[name], namespace="shop") for name in order))
        for name in order:
            await b.state(name, AppState.HEALTHY)
        before = [b.get("ConfigMap", m["metadata"]["name"]) for m in moving]
        then = {"left": stay["left"], "right": [*moving, *stay["right"]]}
        apps = b.assign(*(bundle_of(name, *then[name], namespace="shop") for name in order))
        for name in order:
            await b.state(name, AppState.HEALTHY, apps[name].digest)
        after = [b.get("ConfigMap", m["metadata"]["name"]) for m in moving]
        assert [f["metadata"]["uid"] for f in after if f] == [f["metadata"]["uid"] for f in before if f]


async def test_a_tombstone_removes_when_approved_and_is_confirmed(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.assign(tombstones=("shop",))
        await b.state("shop", AppState.HELD)
        assert b.get("ConfigMap", "a") is not None
        b.assign(tombstones=("shop",), approvals=(b.assigner.removal("shop"),))
        await b.state("shop", AppState.REMOVED)
        assert b.get("ConfigMap", "a") is None
        assert b.cluster.objects.get(("", "Namespace", "", "shop")) is not None


async def test_an_app_that_merely_vanishes_from_the_assignment_keeps_its_objects(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.assign(bundle_of("other", config_map("b"), namespace="shop"))
        await b.state("other", AppState.HEALTHY)
        assert b.get("ConfigMap", "a") is not None


async def test_a_restart_without_a_hub_heals_on_from_the_last_good_state(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and r.generation_applied == 1)
    async with bench(tmp_path, MemoryHub("c1", offline=True)) as b:
        b.cluster.edit(("", "ConfigMap", "shop", "a"), {"data": {"x": "9"}}, "kubectl-edit")
        await b.eventually(lambda: (f := b.get("ConfigMap", "a")) is not None and f["data"] == {"x": "1"})
        assert b.hub.history == []
        b.hub.offline = False
        await b.state("shop", AppState.HEALTHY)


async def test_state_of_another_epoch_is_refused_unless_adopted(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
    with pytest.raises(KnarrError) as refused:
        async with bench(tmp_path, epoch="another"):
            raise AssertionError("it must not start")
    assert refused.value.code == "KNR4006"
    async with bench(tmp_path, epoch="another", adopt=True) as b:
        apps = b.assign(bundle_of("shop", config_map("a", x="2"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)


async def test_an_image_that_never_starts_is_progressing_and_a_later_bundle_mends_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.cluster.change_faults(Faults(never_ready_images=("shop:2*",)))
        apps = b.assign(bundle_of("shop", deployment("web", "shop:2.0"), namespace="shop"))
        await b.state("shop", AppState.PROGRESSING, apps["shop"].digest)
        apps = b.assign(bundle_of("shop", deployment("web", "shop:3.0"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, apps["shop"].digest)
