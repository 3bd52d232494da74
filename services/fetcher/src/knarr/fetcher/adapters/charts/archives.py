"""The port `Archives`: a folder of the state folder. May be emptied at any time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

_MOST_BYTES = 512 * 1024 * 1024


class ArchiveFolder:
    """Archives by the sha256 of their bytes, checked at every reading. The oldest go when there are too many."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def load(self, digest: str) -> bytes | None:
        """See ports.Archives."""
        return await asyncio.to_thread(self._load, digest)

    async def keep(self, archive: bytes) -> None:
        """See ports.Archives. A disk that is full keeps nothing; the repository is then asked again."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._keep, archive)

    def _load(self, digest: str) -> bytes | None:
        path = self._folder / f"{digest}.tgz"
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() == digest:
            return content
        path.unlink(missing_ok=True)
        return None

    def _keep(self, archive: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(archive)
            os.replace(temporary, self._folder / f"{hashlib.sha256(archive).hexdigest()}.tgz")
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._tidy()

    def _tidy(self) -> None:
        found = sorted(((s := p.stat()).st_mtime, s.st_size, p) for p in self._folder.glob("*.tgz"))
        size = sum(s for _, s, _ in found)
        for _, own, path in found[:-1]:
            if size <= _MOST_BYTES:
                return
            path.unlink(missing_ok=True)
            size -= own
