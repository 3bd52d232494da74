"""One suite for what the flow writes to and reads from: JetStream, and what stands in for it on a laptop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from knarr.bundle.disk import DiskSeal
from knarr.local.nats import NatsServer
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.streams import REVISIONS, ensure_streams
from knarr.messaging.subjects import facts_subject, rendered_subject, revision_failed_subject
from knarr.pipeline.digest import sha256
from knarr.pipeline.names import FLEET_SOURCE, AppName, SourceName
from knarr.pipeline.revision import ClusterFacts, CommitRendered, RenderFailed, RevisionRendered
from knarr.pipeline.snapshot import Commit
from knarr.renderer.adapters.contents import ContentStore
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.adapters.nats_bundles import NatsBundles
from knarr.renderer.adapters.nats_facts import NatsFacts
from knarr.renderer.adapters.nats_revisions import NatsRevisions
from knarr.renderer.adapters.nats_snapshots import NatsSnapshots
from knarr.renderer.adapters.offline import OfflineBundles, OfflineFacts, OfflineRevisions, OfflineSnapshots
from knarr.renderer.ports import Bundles, Facts, FactsRead, Revisions, Snapshots
from services.renderer.tests.hub import BUNDLE_KEY, SNAPSHOT_KEY, Hub

APP = AppName("web")


@dataclass(kw_only=True)
class World:
    """The four ports, and a hand and eyes behind them. `commit` and `report` play fetcher and status."""

    bundles: Bundles
    revisions: Revisions
    snapshots: Callable[[], Awaitable[Snapshots]]
    facts: Callable[[], Awaitable[Facts]]
    failure: Callable[[], Awaitable[RenderFailed | None]]
    closed: Callable[[], Awaitable[CommitRendered | None]]


FILES: dict[str, str | bytes] = {"fleet.yaml": "kind: Fleet\n", "web/a.yaml": b"\xff\x00", "web/empty": ""}
FACTS = (ClusterFacts(cluster="a"), ClusterFacts(cluster="b", kubernetes_version="1.36"))


async def _offline(folder: Path) -> World:
    revisions = OfflineRevisions()
    for path, content in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)

    async def snapshots() -> Snapshots:
        return OfflineSnapshots({FLEET_SOURCE: folder_snapshot(folder, FLEET_SOURCE)})

    async def facts() -> Facts:
        return OfflineFacts(FactsRead(facts=FACTS, number=2))

    async def failure() -> RenderFailed | None:
        return revisions.failures.get(APP)

    async def closed() -> CommitRendered | None:
        return revisions.closed.get(SourceName("s"))

    return World(
        bundles=OfflineBundles(), revisions=revisions, snapshots=snapshots, facts=facts, failure=failure, closed=closed
    )


async def _broker(broker: Broker, folder: Path) -> World:
    async def snapshots() -> Snapshots:
        await Hub(broker=broker).commit(FILES)
        return NatsSnapshots(broker, SNAPSHOT_KEY, ContentStore(folder, DiskSeal(SNAPSHOT_KEY, "contents")))

    async def facts() -> Facts:
        for found in FACTS:
            await broker.publish(facts_subject(found.cluster), found)
        return NatsFacts(broker)

    async def failure() -> RenderFailed | None:
        found = await broker.newest(REVISIONS, revision_failed_subject(APP), RenderFailed)
        return found.value if found else None

    async def closed() -> CommitRendered | None:
        found = await broker.newest(REVISIONS, rendered_subject("s"), CommitRendered)
        return found.value if found else None

    return World(
        bundles=NatsBundles(broker, BUNDLE_KEY),
        revisions=NatsRevisions(broker),
        snapshots=snapshots,
        facts=facts,
        failure=failure,
        closed=closed,
    )


@pytest.fixture(params=["offline", "broker"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    if request.param == "offline":
        yield await _offline(tmp_path)
        return
    async with NatsServer(tmp_path / "nats") as server:
        async with Broker(BrokerSettings(urls=(server.url,), name="test")) as broker:
            await broker.wait_connected(10)
            await ensure_streams(broker.jetstream())
            yield await _broker(broker, tmp_path / "contents")


def revision(number: int, *, fleet: int = 1, source: str = "s", facts: int = 0) -> RevisionRendered:
    return RevisionRendered(
        app=APP,
        revision=f"{source}-{number}-{fleet}-{facts}",
        commit=Commit(source=source, number=number),
        fleet_commit=Commit(source="fleet", number=fleet),
        facts_number=facts,
    )


def failed(number: int, message: str = "", source: str = "s") -> RenderFailed:
    return RenderFailed(app=APP, commit=Commit(source=source, number=number), clusters=(message,))


async def test_a_bundle_is_stored_once_however_often_it_is_published(world: World) -> None:
    plain = b"a bundle" * 1000
    first = await world.bundles.publish(plain, 7)
    assert await world.bundles.publish(plain, 7) == first
    assert (first.digest, first.plain_size, first.object_count) == (sha256(plain), len(plain), 7)
    assert first.address
    assert world.bundles.stored == 1
    assert (await world.bundles.publish(b"another", 1)).digest != first.digest
    assert world.bundles.stored == 2


async def test_an_older_revision_of_a_source_replaces_no_newer_one(world: World) -> None:
    assert await world.revisions.published() == {}
    assert await world.revisions.publish(revision(2, fleet=2))
    for older in (revision(1, fleet=2), revision(2, fleet=1), revision(1)):
        assert not await world.revisions.publish(older)
    assert (await world.revisions.published())[APP] == revision(2, fleet=2)
    for newer in (revision(2, fleet=2), revision(2, fleet=2, facts=1), revision(3, fleet=2, facts=1)):
        assert await world.revisions.publish(newer)
        assert (await world.revisions.published())[APP] == newer


async def test_numbers_of_different_sources_have_no_order(world: World) -> None:
    assert await world.revisions.publish(revision(9))
    assert await world.revisions.publish(revision(1, source="other"))
    assert (await world.revisions.published())[APP].commit == Commit(source="other", number=1)


async def test_an_older_failure_replaces_no_newer_one(world: World) -> None:
    assert await world.failure() is None
    for given, wanted in (
        (failed(2), failed(2)),
        (failed(1, "older"), failed(2)),
        (failed(2, "again"), failed(2, "again")),
        (failed(3), failed(3)),
        (failed(1, "elsewhere", "other"), failed(1, "elsewhere", "other")),
    ):
        await world.revisions.publish_failure(given)
        assert await world.failure() == wanted


async def test_an_older_end_of_a_commit_replaces_no_newer_one(world: World) -> None:
    def end(number: int, renders: int = 0) -> CommitRendered:
        return CommitRendered(commit=Commit(source="s", number=number), renders=renders)

    for given, wanted in ((end(2), end(2)), (end(1), end(2)), (end(2, 5), end(2, 5)), (end(3), end(3))):
        await world.revisions.close(given)
        assert await world.closed() == wanted


async def test_the_newest_snapshot_has_its_files_with_their_contents(world: World) -> None:
    snapshot = (await (await world.snapshots()).newest())[FLEET_SOURCE]
    assert (snapshot.commit.source, snapshot.failures, snapshot.missing) == (FLEET_SOURCE, (), False)
    assert snapshot.tree is not None
    read = {path: snapshot.contents.read(file.content_id) for path, file in snapshot.tree.files.items()}
    assert read == {p: c.encode() if isinstance(c, str) else c for p, c in FILES.items()}
    assert {p: f.size for p, f in snapshot.tree.files.items()} == {p: len(c) for p, c in read.items()}


async def test_facts_come_with_the_number_up_to_which_they_are_known(world: World) -> None:
    assert await (await world.facts()).newest() == FactsRead(facts=FACTS, number=2)
