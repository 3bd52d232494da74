"""What one source's commit needs is gone from the stream, against a real fetcher and a real renderer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from knarr.bundle.sealing import MasterKey
from knarr.local.git import GitServer
from knarr.local.nats import NatsServer
from knarr.messaging.streams import REVISIONS, SNAPSHOTS
from knarr.messaging.subjects import rendered_subject
from knarr.pipeline.revision import AppOutcome, CommitRendered
from services.fetcher.tests.fetcher_harness import KEY, FetcherHarness
from services.renderer.tests.hub import cluster, config_map, replica

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], seconds: float = 40.0) -> T:
    async with asyncio.timeout(seconds):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(0.05)


async def closed(fetcher: FetcherHarness, source: str, sha: str) -> CommitRendered:
    """The end of the commit, whenever it comes."""

    async def look() -> CommitRendered | None:
        found = await fetcher.broker.newest(REVISIONS, rendered_subject(source), CommitRendered)
        return found.value if found and found.value.commit and found.value.commit.sha == sha else None

    return await until(look)


async def test_a_pack_of_one_source_is_gone(nats_server: NatsServer, git_server: GitServer, tmp_path: Path) -> None:
    """The others' commits are rendered meanwhile and say what is missing; within seconds it is stored and rendered.

    The fetcher's own audit is an hour away.
    """
    async with FetcherHarness(nats_server, git_server, tmp_path) as fetcher:
        team = git_server.create("team")
        listed = fetcher.fleet_file([{"name": "team", "url": git_server.http_url("team")}])
        app = "apiVersion: knarr.dev/v1\nkind: App\n"
        first = team.commit({"web/knarr.yaml": app, "web/a.yaml": config_map("a")})
        fleet = await fetcher.committed(
            {
                "fleet.yaml": listed,
                "clusters/c1.yaml": cluster("c1"),
                "own/knarr.yaml": app,
                "own/b.yaml": config_map("b"),
            }
        )
        await fetcher.commit(first, "team")
        state = tmp_path / "renderer"
        async with replica(nats_server, state, snapshot_key=MasterKey(KEY)):
            assert fleet.commit is not None
            await closed(fetcher, "fleet", fleet.commit.sha)
            await closed(fetcher, "team", first)
        shutil.rmtree(state)
        second = team.commit({"web/a.yaml": config_map("a", "2")})
        lost = await fetcher.commit(second, "team")
        for manifest in lost.manifests:
            await fetcher.broker.jetstream().purge_stream(SNAPSHOTS, subject=f"snapshot.{manifest.address.hex()}")
        async with replica(nats_server, state, snapshot_key=MasterKey(KEY)):
            other = fetcher.fleet.commit({"own/b.yaml": config_map("b", "2")})
            await closed(fetcher, "fleet", other)
            rendered = await closed(fetcher, "team", second)
            assert {a.app: a.outcome for a in rendered.apps} == {"web": AppOutcome.REVISION}
            assert rendered.source_read


async def test_while_a_pack_is_gone_and_nobody_stores_it_others_go_on(
    nats_server: NatsServer, git_server: GitServer, tmp_path: Path
) -> None:
    """Without a fetcher that could mend it: numbered, and the source's app is not gone."""
    async with FetcherHarness(nats_server, git_server, tmp_path) as fetcher:
        team = git_server.create("team")
        listed = fetcher.fleet_file([{"name": "team", "url": git_server.http_url("team")}])
        app = "apiVersion: knarr.dev/v1\nkind: App\n"
        first = team.commit({"web/knarr.yaml": app, "web/a.yaml": config_map("a")})
        fleet = await fetcher.committed(
            {"fleet.yaml": listed, "clusters/c1.yaml": cluster("c1"), "own/knarr.yaml": app}
        )
        lost = await fetcher.commit(first, "team")
        await fetcher.stop()
        for manifest in lost.manifests:
            await fetcher.broker.jetstream().purge_stream(SNAPSHOTS, subject=f"snapshot.{manifest.address.hex()}")
        async with replica(nats_server, tmp_path / "renderer", snapshot_key=MasterKey(KEY)):
            assert fleet.commit is not None
            rendered = await closed(fetcher, "fleet", fleet.commit.sha)
        assert [f.code for f in rendered.failures] == ["KNR2609"]
        assert {a.app: a.outcome for a in rendered.apps} == {"own": AppOutcome.REVISION}
