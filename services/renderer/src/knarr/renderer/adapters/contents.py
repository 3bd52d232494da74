"""File contents by Git's blob id: in memory while small, sealed on disk for the rest and for the next start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from knarr.bundle.disk import DiskSeal
from knarr.pipeline.errors import retryable
from knarr.renderer.memory import Remembered


class ContentStore:
    """A folder of contents. Reading is synchronous: what a tree names was stored before the tree was given out."""

    def __init__(self, folder: Path, seal: DiskSeal) -> None:
        self._folder, self._seal = folder, seal
        self._folder.mkdir(parents=True, exist_ok=True)
        self._recent: Remembered[bytes, bytes] = Remembered(20_000)
        self.losses = 0  # contents that were stored and cannot be read any more
        self._known = {entry.name for entry in os.scandir(folder) if len(entry.name) >= 40}

    def has(self, content_id: bytes) -> bool:
        """Whether the content is at hand."""
        return content_id.hex() in self._known

    def read(self, content_id: bytes) -> bytes:
        """The content; KNR2601 when it is not at hand."""
        recent = self._recent.get(content_id)
        if recent is not None:
            return recent
        name = content_id.hex()
        try:
            content = self._seal.opened(name, (self._folder / name).read_bytes())
        except OSError:
            content = None
        if content is not None:
            return self._keep(content_id, content)
        self._known.discard(name)
        self.losses += 1
        raise retryable("KNR2601", f"the content {name[:12]} is not at hand")

    def write(self, content_id: bytes, content: bytes) -> None:
        """Stores the content, whole or not at all."""
        name = content_id.hex()
        if name not in self._known:
            handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".")
            with os.fdopen(handle, "wb") as file:
                file.write(self._seal.sealed(name, content))
            os.replace(temporary, self._folder / name)
            self._known.add(name)
        self._keep(content_id, content)

    def keep_only(self, content_ids: frozenset[bytes]) -> None:
        """Forgets what no newest snapshot names any more."""
        wanted = {i.hex() for i in content_ids}
        for name in self._known - wanted:
            (self._folder / name).unlink(missing_ok=True)
        self._known &= wanted

    def _keep(self, content_id: bytes, content: bytes) -> bytes:
        return self._recent.put(content_id, content) if len(content) <= 65_536 else content
