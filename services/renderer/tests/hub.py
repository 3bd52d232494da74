"""A broker with a renderer on it, and a hand that plays the fetcher: for the renderer's tests and attacks on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from knarr.bundle.sealing import MasterKey, seal
from knarr.local.nats import NatsServer
from knarr.messaging.blobs import put_sealed
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.streams import REVISIONS, ensure_streams
from knarr.messaging.subjects import commit_subject, rendered_subject, revision_subject
from knarr.pipeline.codec import encode
from knarr.pipeline.revision import CommitRendered, RevisionRendered
from knarr.pipeline.snapshot import Commit, FileEntry, FileMode, Manifest, Pack, PackedContent, SnapshotStored
from knarr.renderer.adapters.folder import blob_id
from knarr.renderer.core.limits import Limits
from knarr.renderer.main import run
from knarr.renderer.settings import Settings

SNAPSHOT_KEY, BUNDLE_KEY = MasterKey(b"s" * 32), MasterKey(b"b" * 32)
FLEET = "apiVersion: knarr.dev/v1\nkind: Fleet\n"


def cluster(name: str, env: str = "prod") -> str:
    return f"apiVersion: knarr.dev/v1\nkind: Cluster\nname: {name}\nlabels: {{env: {env}}}\n"


def config_map(name: str, value: str = "1") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{v: '{value}'}}\n"


@dataclass(kw_only=True)
class Hub:
    """A broker with a renderer on it, and a hand that plays the fetcher."""

    broker: Broker
    number: int = 0

    async def commit(self, files: Mapping[str, str | bytes], source: str = "fleet") -> Commit:
        """Publishes a commit with exactly these files."""
        self.number += 1
        contents = {p: c.encode() if isinstance(c, str) else c for p, c in files.items()}
        pack = seal(
            SNAPSHOT_KEY,
            encode(Pack(contents=tuple(PackedContent(content_id=blob_id(c), content=c) for c in contents.values()))),
        )
        entries = tuple(
            FileEntry(path=p.encode(), mode=FileMode.REGULAR, content_id=blob_id(c), size=len(c), pack=0)
            for p, c in sorted(contents.items())
        )
        manifest = seal(SNAPSHOT_KEY, encode(Manifest(complete=True, entries=entries, packs=(pack.as_address(),))))
        for sealed in (pack, manifest):
            await put_sealed(self.broker, "snapshot", sealed.address, sealed.chunks)
        commit = Commit(source=source, number=self.number, sha=f"{self.number:040x}", ref="main")
        stored = SnapshotStored(commit=commit, manifests=(manifest.as_address(),), file_count=len(files))
        await self.broker.publish(commit_subject(source), stored)
        return commit

    async def closed(self, commit: Commit, seconds: float = 30) -> CommitRendered:
        """The commit's end, waited for."""
        async with asyncio.timeout(seconds):
            while True:
                found = await self.broker.newest(REVISIONS, rendered_subject(commit.source), CommitRendered)
                if found and found.value.commit and found.value.commit.number >= commit.number:
                    return found.value
                await asyncio.sleep(0.02)

    async def revision(self, app: str) -> RevisionRendered:
        found = await self.broker.newest(REVISIONS, revision_subject(app), RevisionRendered)
        assert found is not None
        return found.value


@asynccontextmanager
async def hub(nats: NatsServer, state: Path, *, seconds: float = 30.0) -> AsyncIterator[Hub]:
    async with Broker(BrokerSettings(urls=(nats.url,), name="test")) as broker:
        await broker.wait_connected(10)
        await ensure_streams(broker.jetstream())
        async with replica(nats, state, seconds=seconds):
            yield Hub(broker=broker)


@asynccontextmanager
async def replica(
    nats: NatsServer, state: Path, *, seconds: float = 30.0, snapshot_key: MasterKey = SNAPSHOT_KEY
) -> AsyncIterator[None]:
    """A renderer of its own: own connection, own memory, own cache."""
    settings = Settings(
        nats_urls=(nats.url,),
        nkey_seed="",
        snapshot_key=snapshot_key,
        bundle_key=BUNDLE_KEY,
        state=state,
        listen="127.0.0.1:0",
        kustomize=("kubectl", "kustomize"),
        allow_unconfined=False,
        limits=Limits(seconds=seconds),
    )
    renderer = asyncio.ensure_future(run(settings))
    try:
        yield
    finally:
        renderer.cancel()
        await asyncio.gather(renderer, return_exceptions=True)
