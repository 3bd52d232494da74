"""One source's repository for the event loop: every call runs in the mirror's own thread, with a deadline.

A thread of its own per source, so that a host that hangs holds up no other source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pygit2

from knarr.fetcher.adapters.git.bare import BareMirror
from knarr.fetcher.core.source import Ref
from knarr.fetcher.core.tree import TreeDelta
from knarr.fetcher.ports import Sighting
from knarr.pipeline.errors import retryable

T = TypeVar("T")
# libgit2's own deadlines end a call first; this is for what they do not cover (name resolution, a dead disk).
_GRACE_SECONDS = 30.0


class GitMirror:
    """The port `Repository` over a `BareMirror`."""

    def __init__(self, bare: BareMirror, *, deadline_seconds: float) -> None:
        self._bare = bare
        self._deadline = deadline_seconds + _GRACE_SECONDS
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="git")

    async def look(self, ref: Ref) -> Sighting:
        """See ports.Repository."""
        return await self._run(lambda: self._bare.look(ref))

    async def changes(self, old_tree: str | None, new_tree: str) -> TreeDelta:
        """See ports.Repository."""
        return await self._run(lambda: self._bare.changes(old_tree, new_tree))

    async def sizes(self, content_ids: Iterable[bytes]) -> Mapping[bytes, int]:
        """See ports.Repository."""
        return await self._run(lambda: self._bare.sizes(content_ids))

    async def read(self, content_ids: Iterable[bytes]) -> tuple[tuple[bytes, bytes], ...]:
        """See ports.Repository."""
        return await self._run(lambda: self._bare.read(content_ids))

    async def file(self, sha: str, path: str, limit: int) -> bytes | None:
        """See ports.Repository."""
        return await self._run(lambda: self._bare.file(sha, path, limit))

    async def close(self) -> None:
        """Ends a talk that is going on and lets go of files. Does not wait for a thread that hangs."""
        self._bare.stop.set()
        self._thread.submit(self._bare.close)
        self._thread.shutdown(wait=False)

    async def _run(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._deadline):
                return await loop.run_in_executor(self._thread, self._guarded, call)
        except TimeoutError as error:
            raise retryable("KNR1007", f"Git did not answer within {self._deadline:g} s") from error

    def _guarded(self, call: Callable[[], T]) -> T:
        """What goes wrong here is the mirror's fault: the remote's errors have their number already."""
        try:
            return call()
        except (pygit2.GitError, KeyError, ValueError, OSError) as error:
            self._bare.discard()
            raise retryable("KNR1008", f"the mirror cannot be read: {type(error).__name__}") from error
