"""The `Store` port as files in a folder: one per key, replaced whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class FolderStore:
    """Small values written at once on the loop's thread: a simulated cluster lives on this machine's disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def load(self, prefix: str) -> Mapping[str, bytes]:
        """See the port."""
        found = [p for p in self._folder.iterdir() if p.name.startswith(prefix) and p.suffix != ".new"]
        return {path.name: path.read_bytes() for path in found}

    async def read(self, key: str) -> bytes | None:
        """See the port."""
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None

    async def save(self, changes: Mapping[str, bytes | None]) -> None:
        """See the port."""
        for key, value in changes.items():
            path = self._folder / key
            if value is None:
                path.unlink(missing_ok=True)
                continue
            fresh = path.with_name(key + ".new")
            fresh.write_bytes(value)
            fresh.replace(path)
