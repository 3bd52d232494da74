"""A whole fetcher in a test's loop, on real NATS and Git, and a reader that knows only the wire format."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import pygit2
from nats.js.errors import NotFoundError
from pygit2.enums import ObjectType

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
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.snapshot import Manifest, Pack, SealedAddress, SnapshotStored, SourceReported

T = TypeVar("T")
_SECONDS = 40.0
KEY = bytes(range(32))
SECRET = "a webhook secret"
FLEET = "apiVersion: knarr.dev/v1\nkind: Fleet\nname: test\n"


class FetcherHarness:
    """`start`, `stop`, and questions about what it published."""

    def __init__(
        self, nats: NatsServer, git: GitServer, folder: Path, broker: BrokerSettings | None = None, seed: str = ""
    ) -> None:
        self.nats, self.git, self.folder = nats, git, folder
        self.state = folder / "state"
        self.port = free_port()
        self.broker = Broker(broker or BrokerSettings(urls=(nats.url,), name="test"))
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
        if seed:
            (folder / "seed").write_text(seed)
            self.environment["KNARR_NKEY_SEED_FILE"] = str(folder / "seed")
        self.key = KEY
        self._task: asyncio.Task[None] | None = None
        self._second: asyncio.Task[None] | None = None

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

    def start_second(self) -> None:
        """Another fetcher beside it, with a state folder of its own."""
        own = {"KNARR_STATE_DIR": str(self.folder / "second"), "KNARR_LISTEN": "127.0.0.1:0"}
        self._second = asyncio.create_task(run(read_settings(self.environment | own)))

    async def stop(self) -> None:
        """Stops what runs; what it failed with is raised."""
        tasks = [task for task in (self._task, self._second) if task is not None]
        self._task = self._second = None
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def change_key(self, key: bytes) -> None:
        """Another master key for the next start, and for reading."""
        self.key = key
        (self.folder / "key").write_bytes(key)

    async def committed(self, files: Mapping[str, str | bytes | None]) -> SnapshotStored:
        """Commits to the fleet repository, starts the fetcher unless it runs, and waits for the snapshot."""
        sha = self.fleet.commit(files)
        if not self.started:
            self.start()
        return await self.commit(sha)

    def fleet_file(self, sources: Sequence[Mapping[str, object]]) -> str:
        """A fleet.yaml that lists the sources."""
        return FLEET + "sources: " + json.dumps(sources) + "\n"

    def push_raw_tree(self, entries: Mapping[bytes, bytes]) -> str:
        """A commit on main whose tree no honest client would write."""
        git = pygit2.Repository(str(self.fleet.path))
        raw = b"".join(b"100644 %s\0" % name + git.create_blob(content).raw for name, content in entries.items())
        return self._push_tree(git, git.odb.write(ObjectType.TREE, raw))

    def push_tree_bomb(self, *, width: int, depth: int) -> str:
        """A commit on main with width ** depth folders in a few small objects."""
        git = pygit2.Repository(str(self.fleet.path))
        tree = git.odb.write(ObjectType.TREE, b"100644 file\0" + git.create_blob(b"x").raw)
        for _ in range(depth):
            raw = b"".join(b"40000 d%02d\0" % n + tree.raw for n in range(width))
            tree = git.odb.write(ObjectType.TREE, raw)
        return self._push_tree(git, tree)

    def _push_tree(self, git: pygit2.Repository, tree: pygit2.Oid) -> str:
        who = f"Mallory <m@example.test> {int(time.time())} +0000"
        raw = f"tree {tree}\nparent {self.fleet.head()}\nauthor {who}\ncommitter {who}\n\nhostile\n".encode()
        commit = git.odb.write(ObjectType.COMMIT, raw)
        git.references.create("refs/heads/main", commit, force=True)
        return str(commit)

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
        return await self._read(COMMITS, commit_subject(source), SnapshotStored)

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
            found = await self._read(SOURCES, source_subject(source), SourceReported)
            given = found.failure.code if found and found.failure else ""
            return found if found and given == code else None

        return await self.until(ask, f"report {code!r} of {source}")

    async def any_failure(self, source: str = "fleet") -> SourceReported:
        """Waits until the source is reported with a failure."""

        async def ask() -> SourceReported | None:
            found = await self._read(SOURCES, source_subject(source), SourceReported)
            return found if found and found.failure else None

        return await self.until(ask, f"a failure of {source}")

    async def everything_in(self, stream: str) -> bytes:
        """All messages of a stream, subjects and headers included, as raw bytes."""
        js = self.broker.jetstream()
        info = await js.stream_info(stream)
        found = b""
        for sequence in range(info.state.first_seq, info.state.last_seq + 1):
            with contextlib.suppress(NotFoundError):
                message = await js.get_msg(stream, sequence)
                found += f"{message.subject} {message.headers} ".encode() + (message.data or b"")
        return found

    async def _read(self, stream: str, subject: str, kind: type[T]) -> T | None:
        """None also for a message that cannot be read, and while the stream is being made anew."""
        try:
            found = await self.broker.newest(stream, subject, kind)
        except KnarrError:
            return None
        return found.value if found else None

    async def files(self, snapshot: SnapshotStored) -> dict[str, bytes]:
        """The snapshot's files, read as a stranger would: manifests in order, then packs."""
        entries: dict[bytes, tuple[bytes, SealedAddress]] = {}
        for address in snapshot.manifests:
            manifest = await self.open(Manifest, address)
            assert manifest.complete == (address == snapshot.manifests[0])
            for path in manifest.removed:
                del entries[path]
            for entry in manifest.entries:
                entries[entry.path] = (entry.content_id, manifest.packs[entry.pack])
        assert len(entries) == snapshot.file_count
        packs: dict[bytes, dict[bytes, bytes]] = {}
        found = {}
        for path, (content_id, pack) in entries.items():
            if pack.address and pack.address not in packs:
                opened = await self.open(Pack, pack)
                packs[pack.address] = {c.content_id: c.content for c in opened.contents}
            content = packs[pack.address][content_id] if pack.address else b""
            found[path.decode("utf-8", "surrogateescape")] = content
        return found

    async def open(self, kind: type[T], address: SealedAddress) -> T:
        """A sealed value from the stream."""
        data = await get_sealed(self.broker, SNAPSHOTS, "snapshot", address.address, address.chunk_count)
        key = content_key(MasterKey(self.key), address.digest)
        plain = unseal(data, key=key, address=address.address, digest=address.digest, plain_size=address.plain_size)
        return decode(kind, plain)

    async def is_readable(self, snapshot: SnapshotStored) -> bool:
        """Whether all of it is stored and opens with today's key."""
        try:
            await self.files(snapshot)
        except KnarrError:
            return False
        return True

    async def polled(self, repository: str = "") -> bool | None:
        """Whether the Git host was asked a few times since its requests were last cleared."""
        return sum(f"/{repository}" in request for request in self.git.http.requests) >= 5 or None

    async def remake(self, stream: str) -> None:
        """Deletes a stream and makes it anew, empty."""
        await self.broker.jetstream().delete_stream(stream)
        await ensure_streams(self.broker.jetstream())

    async def messages(self, stream: str) -> int:
        """How many messages were ever stored in the stream."""
        info = await self.broker.jetstream().stream_info(stream)
        return int(info.state.last_seq)
