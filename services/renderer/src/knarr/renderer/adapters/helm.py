"""Helm, as a library in a sandboxed child of its own for every run (helm-python-sdk)."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from pathlib import Path

from knarr.pipeline.errors import KnarrError, Rejected, rejected
from knarr.renderer.adapters.sandbox.box import Run, Sandbox
from knarr.renderer.adapters.sandbox.words import readable
from knarr.renderer.adapters.workspace import workspace
from knarr.renderer.core.tree import join
from knarr.renderer.ports import ToolJob

_ENVIRONMENT = {
    "HOME": "/nonexistent",
    "PATH": "/nonexistent",
    "HELM_CACHE_HOME": "/nonexistent",
    "HELM_CONFIG_HOME": "/nonexistent",
    "HELM_DATA_HOME": "/nonexistent",
    "HELM_PLUGINS": "/nonexistent",
    "KUBECONFIG": "/nonexistent",
    "GOMAXPROCS": "2",
    "GOGC": "400",
}
_LOOKUP = re.compile(r"<(lookup [^>]{0,200})>: error calling lookup")
_TEMPLATE = re.compile(r"(?:template: |at \()[^/\s]+/(?P<path>[^:\s]+):(?P<line>\d+)")


class Helm:
    """The `Tool` for charts."""

    def __init__(self, sandbox: Sandbox, work: Path) -> None:
        self._sandbox, self._work = sandbox, work

    @property
    def version(self) -> str:
        """Of the library, Helm included."""
        return version("helm-python-sdk")

    async def run(self, job: ToolJob) -> tuple[tuple[str, bytes], ...]:
        """One piece per template, in the order of their paths."""
        async with workspace(job, self._work) as root:
            options = {**job.options, "root": str(root), "chart": job.folder}
            run = Run(
                root=root,
                folder=root,
                module="knarr.renderer.adapters.sandbox.helm_call",
                options=options,
                environment=_ENVIRONMENT,
                source=job.source,
                seconds=job.seconds,
                words=job.words,
            )
            try:
                ended = await self._sandbox.run(run)
            except KnarrError as error:
                error.origin = error.origin or job.folder
                raise
        if ended.code != 0:
            raise _refusal(readable(ended.errors, root), job)
        pieces = json.loads(ended.output or b"[]")
        # Helm names templates by the chart's name; the folder is what Git has.
        return tuple((f"{job.folder}/{path.partition('/')[2]}".lstrip("/"), text.encode()) for path, text in pieces)


def _refusal(words: str, job: ToolJob) -> Rejected:
    """Helm's words as a numbered error, with the template's line where they name one that there is."""
    place = _TEMPLATE.search(words)
    named = join(job.folder, place["path"]) if place else ""
    origin = f"{named}:{place['line']}" if place and any(f.path == named for f in job.files) else job.folder
    asked = _LOOKUP.search(words)
    if asked is not None:
        return rejected("KNR2407", f"the chart asks the cluster: {asked[1]}", origin=origin)
    return rejected("KNR2401", f"helm: {words}", origin=origin)
