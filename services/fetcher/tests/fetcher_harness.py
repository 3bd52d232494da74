"""A whole fetcher in a test's loop, on real NATS and Git, and a reader that knows only the wire format."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self, TypeVar

from knarr.bundle.sealing import MasterKey, content_key, unseal
from knarr.fetcher.main import run
from knarr.fetcher.settings import read_settings
from knarr.local.git import GitRepository, GitServer
from knarr.local.nats import NatsServer
from knarr.local.ports import free_port
from knarr.messaging.blobs import get_sealed
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.streams import COMMITS, SNAPSHOTS, SOURCES, ensure_streams
from knarr.messaging.subjects import commit_subject, source_subject
from knarr.pipeline.codec import decode
from knarr.pipeline.snapshot import Manifest, Pack, SealedAddress, SnapshotStored, SourceReported

T = TypeVar("T")
_SECONDS = 20.0
KEY = bytes(range(32))
SECRET = "a webhook secret"


class FetcherHarness:
    """`start`, `stop`, and questions about what it published."""

    def __init__(self, nats: NatsServer, git: GitServer, folder: Path) -> None:
        self.nats, self.git, self.folder = nats, git, folder
        self.state = folder / "state"
        self.port = free_port()
        self.broker = Broker(BrokerSettings(urls=(nats.url,), name="test"))
        self.fleet: GitRepository = git.create("fleet")
        (folder / "key").write_bytes(KEY)
        (folder / "secret").write_text(SECRET + "\n")
        self.environment = {
            "KNARR_NATS_URL": nats.url,
            "KNARR_STATE_DIR": str(self.state),
            "KNARR_FLEET_URL": git.http_url("fleet"),
            "KNARR_POLL_SECONDS": "0.1",
            "KNARR_SNAPSHOT_KEY_FILE": str(folder / "key"),
            "KNARR_WEBHOOK_SECRET_FILE": str(folder / "secret"),
            "KNARR_LISTEN": f"127.0.0.1:{self.port}",
        }
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.broker.__aenter__()
        await self.broker.wait_connected(_SECONDS)
        await ensure_streams(self.broker.jetstream())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.broker.__aexit__()

    @property
    def started(self) -> bool:
        """Whether it runs."""
        return self._task is not None

    def start(self, **settings: str) -> None:
        """Starts the fetcher; `settings` add to its environment and stay."""
        self.environment |= settings
        self._task = asyncio.create_task(run(read_settings(self.environment)))

    async def stop(self) -> None:
        """Stops it; what it failed with is raised."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, question: Callable[[], Awaitable[T | None]], what: str) -> T:
        """The first answer that is not None. AssertionError with `what` after the deadline."""
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            if self._task is not None and self._task.done():
                self._task.result()
            if (answer := await question()) is not None:
                return answer
            await asyncio.sleep(0.02)
        raise AssertionError(f"not within {_SECONDS} s: {what}")

    async def newest(self, source: str = "fleet") -> SnapshotStored | None:
        """The newest snapshot."""
        found = await self.broker.newest(COMMITS, commit_subject(source), SnapshotStored)
        return found.value if found else None

    async def commit(self, sha: str, source: str = "fleet", above: int = 0) -> SnapshotStored:
        """Waits until commit `sha` is the newest, with a number above `above`."""

        async def ask() -> SnapshotStored | None:
            found = await self.newest(source)
            same = found and found.commit and found.commit.sha == sha and found.commit.number > above
            return found if same else None

        return await self.until(ask, f"commit {sha} of {source}")

    async def report(self, code: str, source: str = "fleet") -> SourceReported:
        """Waits until the source is reported with failure `code` (empty: with none)."""

        async def ask() -> SourceReported | None:
            found = await self.broker.newest(SOURCES, source_subject(source), SourceReported)
            given = found.value.failure.code if found and found.value.failure else ""
            return found.value if found and given == code else None

        return await self.until(ask, f"report {code!r} of {source}")

    async def files(self, snapshot: SnapshotStored) -> dict[str, bytes]:
        """The snapshot's files, read as a stranger would: manifests in order, then packs."""
        entries: dict[bytes, tuple[bytes, SealedAddress | None]] = {}
        for address in snapshot.manifests:
            manifest = await self.open(Manifest, address)
            assert manifest.complete == (address == snapshot.manifests[0])
            for path in manifest.removed:
                del entries[path]
            for entry in manifest.entries:
                entries[entry.path] = (entry.content_id, manifest.packs[entry.pack] if entry.pack >= 0 else None)
        assert len(entries) == snapshot.file_count
        packs: dict[bytes, dict[bytes, bytes]] = {}
        found = {}
        for path, (content_id, pack) in entries.items():
            if pack is not None and pack.address not in packs:
                opened = await self.open(Pack, pack)
                packs[pack.address] = {c.content_id: c.content for c in opened.contents}
            content = packs[pack.address][content_id] if pack is not None else b""
            found[path.decode("utf-8", "surrogateescape")] = content
        return found

    async def open(self, kind: type[T], address: SealedAddress) -> T:
        """A sealed value from the stream."""
        data = await get_sealed(self.broker, SNAPSHOTS, "snapshot", address.address, address.chunk_count)
        key = content_key(MasterKey(KEY), address.digest)
        plain = unseal(data, key=key, address=address.address, digest=address.digest, plain_size=address.plain_size)
        return decode(kind, plain)

    async def remake(self, stream: str) -> None:
        """Deletes a stream and makes it anew, empty."""
        await self.broker.jetstream().delete_stream(stream)
        await ensure_streams(self.broker.jetstream())

    async def messages(self, stream: str) -> int:
        """How many messages were ever stored in the stream."""
        info = await self.broker.jetstream().stream_info(stream)
        return int(info.state.last_seq)
