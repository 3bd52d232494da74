"""A commit in COMMITS becomes sealed bundles, revisions and a closed commit, over a real NATS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knarr.bundle.packing import unpack
from knarr.bundle.sealing import MasterKey, content_key, seal, unseal
from knarr.local.nats import NatsServer
from knarr.messaging.blobs import get_sealed, put_sealed
from knarr.messaging.streams import BLOBS, COMMITS, REVISIONS
from knarr.messaging.subjects import (
    commit_subject,
    facts_subject,
    revision_failed_subject,
)
from knarr.pipeline.chart_lock import LOCK_FILE, ChartLock, ChartReference, LockedChart, lock_to_bytes
from knarr.pipeline.codec import encode
from knarr.pipeline.revision import AppOutcome, ClusterFacts, RenderFailed, RevisionRendered
from knarr.pipeline.snapshot import Commit, Manifest, SnapshotStored
from services.renderer.tests.hub import BUNDLE_KEY, FLEET, Hub, cluster, config_map, hub, replica


@pytest.fixture
async def running(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Hub]:
    async with hub(nats_server, tmp_path / "state") as value:
        yield value


async def test_a_commit_becomes_a_revision_whose_bundle_can_be_opened_with_the_key_of_its_digest(running: Hub) -> None:
    commit = await running.commit(
        {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1"), "hello/a.yaml": config_map("a")}
    )
    rendered = await running.closed(commit)
    assert [(a.app, a.outcome) for a in rendered.apps] == [("hello", AppOutcome.REVISION)]
    assert rendered.fleet_read
    assert rendered.source_read
    revision = await running.revision("hello")
    assert revision.revision == rendered.apps[0].revision
    (variant,) = revision.variants
    assert variant.clusters == ("c1",)
    assert variant.bundle is not None
    data = await get_sealed(running.broker, BLOBS, "blob", variant.bundle.address, variant.bundle.chunk_count)
    plain = unseal(
        data,
        key=content_key(BUNDLE_KEY, variant.bundle.digest),
        address=variant.bundle.address,
        digest=variant.bundle.digest,
        plain_size=variant.bundle.plain_size,
    )
    bundle = unpack(plain)
    assert [o["metadata"] for o in bundle.objects] == [{"name": "a", "namespace": "default"}]
    assert variant.origins[0].origin == "hello/a.yaml:1"


async def test_a_commit_that_changes_no_app_renders_nothing_and_says_so(running: Hub) -> None:
    files = {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1"), "hello/a.yaml": config_map("a")}
    first = await running.closed(await running.commit(files))
    second = await running.closed(await running.commit({**files, "README.md": "words"}))
    assert [a.outcome for a in second.apps] == [AppOutcome.UNCHANGED]
    assert second.apps[0].revision == first.apps[0].revision
    assert (second.renders, second.blobs_published) == (0, 0)


async def test_a_failing_app_keeps_its_last_good_revision_and_stops_no_other(running: Hub) -> None:
    files = {
        "fleet.yaml": FLEET,
        "clusters/c1.yaml": cluster("c1"),
        "a/a.yaml": config_map("a"),
        "b/b.yaml": config_map("b"),
    }
    first = await running.closed(await running.commit(files))
    broken = await running.closed(
        await running.commit({**files, "a/a.yaml": "kind: [", "b/b.yaml": config_map("b", "2")})
    )
    outcomes = {a.app: a for a in broken.apps}
    assert outcomes["a"].outcome is AppOutcome.FAILED
    assert outcomes["a"].failure_code == "KNR2001"
    assert outcomes["a"].clusters == ("c1",)
    assert outcomes["a"].revision == first.apps[0].revision
    assert outcomes["b"].outcome is AppOutcome.REVISION


async def test_a_failing_variant_keeps_its_last_good_bundle_while_the_others_move(running: Hub) -> None:
    app = "apiVersion: knarr.dev/v1\nkind: App\nvariables: {size: null}\n"
    files = {
        "fleet.yaml": FLEET,
        "clusters/c1.yaml": cluster("c1") + "variables: {size: s}\n",
        "clusters/c2.yaml": cluster("c2") + "variables: {size: m}\n",
        "a/knarr.yaml": app,
        "a/a.yaml": config_map("a", "${size}"),
    }
    await running.closed(await running.commit(files))
    before = _placed(await running.revision("a"))
    broken = {**files, "clusters/c2.yaml": cluster("c2"), "a/a.yaml": config_map("a", "${size}-2")}
    rendered = await running.closed(await running.commit(broken))
    (outcome,) = rendered.apps
    assert (outcome.outcome, outcome.failure_code, outcome.clusters) == (AppOutcome.REVISION, "KNR2201", ("c2",))
    after = await running.revision("a")
    assert _placed(after)["c2"] == before["c2"]
    assert _placed(after)["c1"] != before["c1"]
    assert {i.digest for i in after.indexes} == set(_placed(after).values())
    failed = await running.broker.newest(REVISIONS, revision_failed_subject("a"), RenderFailed)
    assert failed is not None
    assert (failed.value.clusters, [f.code for f in failed.value.failures]) == (("c2",), ["KNR2201"])
    again = await running.closed(await running.commit({**broken, "README.md": "words"}))
    assert [(a.outcome, a.failure_code) for a in again.apps] == [(AppOutcome.UNCHANGED, "KNR2201")]


def _placed(revision: RevisionRendered) -> dict[str, bytes]:
    return {c: v.bundle.digest for v in revision.variants if v.bundle for c in v.clusters}


REFERENCE = ChartReference(repository="https://charts.example.com", name="web", version="^1")
CHART_APP = (
    "apiVersion: knarr.dev/v1\nkind: App\nhelm:\n  values: {size: 2}\n"
    "  chart: {repository: 'https://charts.example.com', name: web, version: ^1}\n"
)


def chart_files(lock: LockedChart) -> dict[str, str | bytes]:
    """A snapshot's files for one locked chart."""
    files: dict[str, str | bytes] = {
        LOCK_FILE: lock_to_bytes(ChartLock(charts=(lock,), uses=(("web/knarr.yaml", REFERENCE),)))
    }
    if lock.folder:
        files |= {
            f"{lock.folder}/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.2.3\n",
            f"{lock.folder}/knarr.yaml": "apiVersion: knarr.dev/v1\nkind: App\nname: planted\n",
            f"{lock.folder}/templates/a.yaml": config_map("a", "{{ .Values.size }}"),
        }
    return files


async def test_an_app_whose_chart_is_in_the_lock_is_rendered_from_the_snapshot(running: Hub) -> None:
    base = {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1"), "web/knarr.yaml": CHART_APP}
    pinned = LockedChart(reference=REFERENCE, version="1.2.3", digest="ab" * 32)
    rendered = await running.closed(await running.commit({**base, **chart_files(pinned)}))
    assert [(a.app, a.outcome, a.failure_code) for a in rendered.apps] == [("web", AppOutcome.REVISION, "")]
    good = await running.revision("web")
    assert good.variants[0].origins[0].origin.startswith(f"{pinned.folder}/templates/a.yaml")
    lost = LockedChart(reference=REFERENCE, code="KNR1050", message="it does not answer")
    failing = await running.closed(await running.commit({**base, **chart_files(lost)}))
    (app,) = failing.apps
    assert (app.outcome, app.failure_code, app.revision) == (AppOutcome.FAILED, "KNR1050", good.revision)
    unlocked = await running.closed(await running.commit(base))
    assert [a.failure_code for a in unlocked.apps] == ["KNR2410"]


async def test_a_source_that_turns_empty_detaches(running: Hub) -> None:
    files = {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1"), "a/a.yaml": config_map("a")}
    await running.closed(await running.commit(files))
    empty = await running.closed(await running.commit({}))
    assert not empty.source_read
    assert not empty.fleet_read
    assert empty.apps == ()


async def test_an_app_that_left_a_readable_source_is_gone(running: Hub) -> None:
    files = {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1"), "a/a.yaml": config_map("a")}
    await running.closed(await running.commit({**files, "b/b.yaml": config_map("b")}))
    rendered = await running.closed(await running.commit(files))
    assert {a.app: a.outcome for a in rendered.apps} == {"a": AppOutcome.UNCHANGED, "b": AppOutcome.GONE}


async def test_a_fleet_of_enrolled_clusters_has_each_as_a_member(running: Hub) -> None:
    await running.broker.publish(facts_subject("kind-one"), ClusterFacts(cluster="kind-one"))
    rendered = await running.closed(
        await running.commit({"fleet.yaml": f"{FLEET}clusters: Enrolled\n", "hello/a.yaml": config_map("a")})
    )
    async with asyncio.timeout(30):
        while [c.name for c in rendered.clusters] != ["kind-one"] or not (await running.revision("hello")).variants:
            await asyncio.sleep(0.05)
            rendered = await running.closed(rendered.commit or Commit())
    assert (await running.revision("hello")).variants[0].clusters == ("kind-one",)


async def test_a_restarted_renderer_repeats_nothing(nats_server: NatsServer, tmp_path: Path) -> None:
    files = {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1"), "hello/a.yaml": config_map("a")}
    async with hub(nats_server, tmp_path / "one") as first:
        before = await first.closed(await first.commit(files))
        number = first.number
    async with hub(nats_server, tmp_path / "one") as second:
        second.number = number
        after = await second.closed(await second.commit({**files, "README.md": "x"}))
    assert [a.outcome for a in after.apps] == [AppOutcome.UNCHANGED]
    assert after.apps[0].revision == before.apps[0].revision
    assert after.renders == 0


async def test_a_cluster_whose_document_breaks_keeps_what_it_runs(running: Hub) -> None:
    files = {
        "fleet.yaml": FLEET,
        "clusters/c1.yaml": cluster("c1"),
        "clusters/c2.yaml": cluster("c2"),
        "a/a.yaml": config_map("a"),
    }
    await running.closed(await running.commit(files))
    before = await running.revision("a")
    broken = {**files, "clusters/c2.yaml": "name: [", "a/a.yaml": config_map("a", "2")}
    rendered = await running.closed(await running.commit(broken))
    assert not rendered.fleet_read
    after = await running.revision("a")
    placed = {c: v.bundle.digest for v in after.variants if v.bundle for c in v.clusters}
    old = {c: v.bundle.digest for v in before.variants if v.bundle for c in v.clusters}
    assert placed["c2"] == old["c2"]
    assert placed["c1"] != old["c1"]
    assert {i.digest for i in after.indexes} == set(placed.values())


async def test_an_app_that_moves_to_another_source_is_a_move_and_not_gone(running: Hub) -> None:
    sources = "sources:\n  - {name: one, url: https://example.com/1}\n  - {name: two, url: https://example.com/2}\n"
    files = {"fleet.yaml": FLEET + sources, "clusters/c1.yaml": cluster("c1")}
    app = {"web/knarr.yaml": "apiVersion: knarr.dev/v1\nkind: App\n", "web/web.yaml": config_map("web")}
    await running.closed(await running.commit(files))
    await running.closed(await running.commit(app, "one"))
    claimed = await running.closed(await running.commit({**app, "x": "y"}, "two"))
    assert [f.code for f in claimed.failures] == ["KNR2018"]
    assert claimed.apps == ()
    left = await running.closed(await running.commit({"README.md": "moved"}, "one"))
    assert [(a.app, a.outcome, a.source) for a in left.apps] == [("web", AppOutcome.REVISION, "two")]


async def test_a_commit_that_renders_an_app_to_nothing_is_an_empty_bundle(running: Hub) -> None:
    files = {
        "fleet.yaml": FLEET,
        "clusters/c1.yaml": cluster("c1"),
        "a/knarr.yaml": "apiVersion: knarr.dev/v1\nkind: App\n",
        "a/a.yaml": config_map("a"),
    }
    await running.closed(await running.commit(files))
    del files["a/a.yaml"]
    rendered = await running.closed(await running.commit(files))
    assert [a.outcome for a in rendered.apps] == [AppOutcome.REVISION]
    (variant,) = (await running.revision("a")).variants
    assert variant.bundle is not None
    assert variant.bundle.object_count == 0


async def test_a_twenty_megabyte_manifest_is_refused_and_the_rest_goes_on(running: Hub) -> None:
    files: dict[str, str | bytes] = {
        "fleet.yaml": FLEET,
        "clusters/c1.yaml": cluster("c1"),
        "big/big.yaml": b"# " + b"x" * (20 << 20),
        "ok/ok.yaml": config_map("ok"),
    }
    rendered = await running.closed(await running.commit(files))
    assert {a.app: a.failure_code for a in rendered.apps} == {"big": "KNR2002", "ok": ""}


async def test_a_snapshot_that_cannot_be_opened_concludes_nothing(running: Hub) -> None:
    files = {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1"), "a/a.yaml": config_map("a")}
    await running.closed(await running.commit(files))
    broken = seal(MasterKey(b"x" * 32), encode(Manifest(complete=True)))
    await put_sealed(running.broker, "snapshot", broken.address, broken.chunks)
    running.number += 1
    commit = Commit(source="fleet", number=running.number, sha="f" * 40)
    stored = SnapshotStored(commit=commit, manifests=(broken.as_address(),))
    await running.broker.publish(commit_subject("fleet"), stored)
    rendered = await running.closed(commit)
    assert (rendered.source_read, rendered.fleet_read, rendered.apps) == (False, False, ())
    assert rendered.failures[0].code == "KNR7004"


@pytest.mark.timeout(240)  # what a replica took along comes back after the ack wait of a minute
async def test_replicas_share_the_commits_and_end_with_the_newest(
    running: Hub, nats_server: NatsServer, tmp_path: Path
) -> None:
    """Two more renderers on the same durable consumer, one of which goes away in the midst of the work."""
    fleet = {"fleet.yaml": FLEET, "clusters/c1.yaml": cluster("c1")}

    async def push(numbers: range) -> Commit:
        for n in numbers:
            last = await running.commit({**fleet, **{f"app{i}/a.yaml": config_map(f"a{i}", str(n)) for i in range(8)}})
        return last

    async with replica(nats_server, tmp_path / "second"):
        async with replica(nats_server, tmp_path / "third"):
            await push(range(20))
        last = await push(range(20, 40))
        rendered = await running.closed(last)
    assert rendered.commit == last
    assert {a.outcome for a in rendered.apps} <= {AppOutcome.REVISION, AppOutcome.UNCHANGED}
    for i in range(8):
        revision = await running.revision(f"app{i}")
        assert revision.commit is not None
        assert await _value_of(running, revision) == "39"
    consumer = await running.broker.jetstream().consumer_info(COMMITS, "renderer")
    async with asyncio.timeout(120):
        while consumer.num_pending or consumer.num_ack_pending:
            await asyncio.sleep(0.05)
            consumer = await running.broker.jetstream().consumer_info(COMMITS, "renderer")
    after = await running.closed(await running.commit({**fleet, "app0/a.yaml": config_map("a0", "39")}))
    assert {a.app for a in after.apps if a.outcome is AppOutcome.GONE} == {f"app{i}" for i in range(1, 8)}


async def _value_of(running: Hub, revision: RevisionRendered) -> str:
    (variant,) = revision.variants
    assert variant.bundle is not None
    ref = variant.bundle
    data = await get_sealed(running.broker, BLOBS, "blob", ref.address, ref.chunk_count)
    key = content_key(BUNDLE_KEY, ref.digest)
    plain = unseal(data, key=key, address=ref.address, digest=ref.digest, plain_size=ref.plain_size)
    (found,) = unpack(plain).objects
    return str(found["data"]["v"])
