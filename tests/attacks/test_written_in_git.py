"""What is written in Git to get past the guard or into somebody else's place, against a running renderer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knarr.bundle.bounds import Bounds
from knarr.bundle.packing import unpack
from knarr.bundle.sealing import content_key, unseal
from knarr.local.nats import NatsServer
from knarr.messaging.blobs import get_sealed
from knarr.messaging.streams import BLOBS, REVISIONS
from knarr.messaging.subjects import facts_subject, revision_failed_subject
from knarr.pipeline.revision import AppOutcome, ClusterFacts, RenderFailed
from services.renderer.tests.hub import BUNDLE_KEY, FLEET, Hub, cluster, config_map, hub

APP = "apiVersion: knarr.dev/v1\nkind: App\n"
TEAM = (
    "sources:\n  - name: team\n    url: https://example.com/team\n"
    "    bounds: {namespaces: [team], kinds: [ConfigMap]}\n"
)
CLAIM = (
    "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\n"
    "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"
)


@pytest.fixture
async def running(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Hub]:
    async with hub(nats_server, tmp_path / "state") as value:
        yield value


async def told(hub_: Hub, app: str) -> list[str]:
    """The numbers of what the app's newest failure says."""
    found = await hub_.broker.newest(REVISIONS, revision_failed_subject(app), RenderFailed)
    assert found is not None
    return [f.code for f in found.value.failures]


async def test_all_files_of_the_clusters_folder_are_removed(running: Hub) -> None:
    """Then no cluster is a member, which is said; nothing is handed to whoever happens to be enrolled."""
    for name in ("c1", "stranger"):
        await running.broker.publish(facts_subject(name), ClusterFacts(cluster=name))
    files = {"fleet.yaml": FLEET, "hello/a.yaml": config_map("a")}
    before = await running.closed(await running.commit({**files, "clusters/c1.yaml": cluster("c1")}))
    assert [c.name for c in before.clusters] == ["c1"]
    after = await running.closed(await running.commit(files))
    assert (after.clusters, [f.code for f in after.failures], after.fleet_read) == ((), ["KNR2022"], True)
    assert [a.outcome for a in after.apps] != [AppOutcome.GONE]


async def test_annotations_for_everything_turn_a_volume_claim_into_a_hook(running: Hub) -> None:
    """commonAnnotations do it by accident. It is refused, and the last good revision stays."""
    files = {
        "fleet.yaml": FLEET,
        "clusters/c1.yaml": cluster("c1"),
        "web/kustomization.yaml": "resources: [web.yaml]\n",
        "web/web.yaml": CLAIM,
    }
    good = await running.closed(await running.commit(files))
    files["web/kustomization.yaml"] += "commonAnnotations: {helm.sh/hook: pre-upgrade}\n"
    (app,) = (await running.closed(await running.commit(files))).apps
    assert (app.outcome, app.failure_code, app.revision) == (AppOutcome.FAILED, "KNR2608", good.apps[0].revision)


async def test_a_teams_source_reaches_for_other_namespaces_and_for_the_whole_cluster(running: Hub) -> None:
    """The app fails alone and keeps its last good revision; its bounds are in the header that the agent reads."""
    await running.closed(
        await running.commit({"fleet.yaml": FLEET + TEAM, "clusters/c1.yaml": cluster("c1"), "own/a.yaml": CLAIM})
    )
    files = {
        "web/knarr.yaml": f"{APP}namespace: team\n",
        "web/web.yaml": config_map("a"),
        "ok/knarr.yaml": f"{APP}namespace: team\n",
        "ok/ok.yaml": config_map("b"),
    }
    good = await running.closed(await running.commit(files, "team"))
    assert {a.app: a.outcome for a in good.apps} == dict.fromkeys(("ok", "web"), AppOutcome.REVISION)
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: []\n"
    inside = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: system, namespace: kube-system}\n"
    hook = "apiVersion: v1\nkind: Secret\nmetadata: {name: hooked, annotations: {helm.sh/hook: pre-install}}\n"
    files["web/more.yaml"] = "---\n".join((role, inside, hook))
    bad = await running.closed(await running.commit({**files, "ok/ok.yaml": config_map("b", "2")}, "team"))
    apps = {a.app: a for a in bad.apps}
    assert (apps["ok"].outcome, apps["web"].outcome) == (AppOutcome.REVISION, AppOutcome.FAILED)
    assert apps["web"].revision == next(a.revision for a in good.apps if a.app == "web")
    assert await told(running, "web") == ["KNR2605"] * 3
    bundle = (await running.revision("ok")).variants[0].bundle
    assert bundle is not None
    sealed = await get_sealed(running.broker, BLOBS, "blob", bundle.address, bundle.chunk_count)
    key = content_key(BUNDLE_KEY, bundle.digest)
    plain = unseal(sealed, key=key, address=bundle.address, digest=bundle.digest, plain_size=bundle.plain_size)
    wanted = Bounds(source="team", namespaces=("team",), kinds=("ConfigMap",), cluster_kinds=())
    assert unpack(plain).header.bounds == wanted


async def test_a_rollout_policy_is_written_down_and_believed_to_hold(running: Hub) -> None:
    """What nothing obeys yet is refused with a number; the fleet stays readable and other apps go on."""
    files = {
        "fleet.yaml": FLEET,
        "clusters/c1.yaml": cluster("c1"),
        "web/knarr.yaml": APP,
        "web/a.yaml": config_map("a"),
        "other/knarr.yaml": APP,
        "other/b.yaml": config_map("b"),
    }
    good = await running.closed(await running.commit(files))
    files |= {
        "rollouts/careful.yaml": "apiVersion: knarr.dev/v1\nkind: RolloutPolicy\nname: careful\n",
        "web/knarr.yaml": f"{APP}rollout: careful\n",
        "web/a.yaml": config_map("a", "2"),
        "other/b.yaml": config_map("b", "2"),
    }
    bad = await running.closed(await running.commit(files))
    assert ([f.code for f in bad.failures], bad.fleet_read) == (["KNR2021"], True)
    apps = {a.app: a for a in bad.apps}
    assert (apps["other"].outcome, apps["web"].failure_code) == (AppOutcome.REVISION, "KNR2021")
    assert apps["web"].revision == next(a.revision for a in good.apps if a.app == "web")


async def test_the_guards_change_and_no_app_gets_a_new_revision_by_it(running: Hub) -> None:
    """Guards are the fleet's, told with the commit; a revision that moved with them would hide what was approved."""
    files = {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1"), "hello/a.yaml": config_map("a")}
    before = await running.closed(await running.commit(files))
    files["fleet.yaml"] = f"{FLEET}guards: {{maxLostShare: 1, window: 2h}}\n"
    after = await running.closed(await running.commit(files))
    assert [(a.outcome, a.revision) for a in after.apps] == [(AppOutcome.UNCHANGED, before.apps[0].revision)]
    assert after.guards_json == b'{"maxLostShare":1,"windowSeconds":7200}'
