"""jsonnet, as a library in a sandboxed child of its own for every run (gojsonnet).

The program gives one object, a list of them, or a mapping of names to them at any depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from knarr.pipeline.errors import KnarrError, rejected
from knarr.renderer.adapters.sandbox.box import Run, Sandbox
from knarr.renderer.adapters.sandbox.words import readable
from knarr.renderer.adapters.workspace import workspace
from knarr.renderer.ports import ToolJob

_ENVIRONMENT = {"HOME": "/nonexistent", "PATH": "/nonexistent", "GOMAXPROCS": "2"}
_MOST_DEPTH = 8


class Jsonnet:
    """The `Tool` for jsonnet."""

    def __init__(self, sandbox: Sandbox, work: Path) -> None:
        self._sandbox, self._work = sandbox, work

    @property
    def version(self) -> str:
        """Of the library."""
        return version("gojsonnet")

    async def run(self, job: ToolJob) -> tuple[tuple[str, bytes], ...]:
        """One piece per object."""
        entry = str(job.options["entry"])
        async with workspace(job, self._work) as root:
            run = Run(
                root=root,
                folder=root,
                module="knarr.renderer.adapters.sandbox.jsonnet_call",
                options={**job.options, "root": str(root)},
                environment=_ENVIRONMENT,
                source=job.source,
                seconds=job.seconds,
                words=job.words,
            )
            try:
                ended = await self._sandbox.run(run)
            except KnarrError as error:
                error.origin = error.origin or entry
                raise
        if ended.code != 0:
            raise rejected("KNR2401", f"jsonnet: {readable(ended.errors, root)}", origin=entry)
        return tuple((entry, orjson.dumps(manifest)) for manifest in _objects(orjson.loads(ended.output), 0))


def _objects(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _objects(item, depth + 1)
    elif isinstance(value, dict) and "kind" not in value and "apiVersion" not in value and depth < _MOST_DEPTH:
        for name in sorted(value):
            yield from _objects(value[name], depth + 1)
    elif value is not None:
        yield value
