"""A private, read-only copy of what a tool may see; gone when the tool is done.

Only regular files are written, under names that layout.py has checked. The copy lies in a folder that nothing else
uses, below the renderer's work folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from knarr.renderer.ports import ToolJob


@asynccontextmanager
async def workspace(job: ToolJob, root: Path) -> AsyncIterator[Path]:
    """The folder that holds the job's files, by their paths in the source."""
    folder = await asyncio.to_thread(_laid_out, job, root)
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


def _laid_out(job: ToolJob, root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root, prefix="run-"))
    made: set[str] = set()
    try:
        for file in job.files:
            parent = os.path.dirname(file.path)
            if parent not in made:
                os.makedirs(folder / parent, exist_ok=True)
                made.add(parent)
            _write(folder / file.path, job.contents.read(file.content_id))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o444)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
    finally:
        os.close(handle)
