"""Makes the mirror of a source from its address, its credentials and the state folder."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from knarr.fetcher.adapters.credentials import CredentialsFile
from knarr.fetcher.adapters.git.bare import BareMirror
from knarr.fetcher.adapters.git.callbacks import Bounds
from knarr.fetcher.adapters.git.mirror import GitMirror
from knarr.fetcher.core.source import Source
from knarr.fetcher.core.tree import Limits
from knarr.fetcher.ports import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorOpener:
    """The port `OpenRepository`. `trust` takes known_hosts lines before an SSH host is asked."""

    folder: Path
    credentials: CredentialsFile
    bounds: Bounds
    limits: Limits
    trust: Callable[[tuple[str, ...]], None]
    proxy: str = ""

    @asynccontextmanager
    async def __call__(self, source: Source) -> AsyncIterator[Repository]:
        """See ports.OpenRepository."""
        found = self.credentials.credential(source.credentials, source.url) if source.credentials else None
        self.trust(self.credentials.known_hosts())
        # Another address gets another mirror; a name that comes back finds its old one.
        place = self.folder / f"{source.name}-{hashlib.sha256(source.url.encode()).hexdigest()[:12]}.git"
        bare = BareMirror(
            place,
            source.url,
            source.root,
            login=found.login if found else None,
            proxy=(found.proxy if found else "") or self.proxy,
            bounds=self.bounds,
            limits=self.limits,
        )
        mirror = GitMirror(bare, deadline_seconds=self.bounds.deadline_seconds)
        try:
            yield mirror
        finally:
            await mirror.close()
