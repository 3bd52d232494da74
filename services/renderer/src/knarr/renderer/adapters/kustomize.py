"""kustomize, out of process: the stand-alone binary where there is one, else `kubectl kustomize`.

Everything that the kustomization reads has been resolved before (core/kustomize.py) and is all that the sandbox holds.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from knarr.pipeline.errors import KnarrError, rejected
from knarr.renderer.adapters.programs import found_program, program_digest
from knarr.renderer.adapters.sandbox.box import Run, Sandbox
from knarr.renderer.adapters.sandbox.words import readable
from knarr.renderer.adapters.workspace import workspace
from knarr.renderer.core.kustomize import FILE_NAMES
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.yaml_kubectl import read_documents
from knarr.renderer.ports import ToolJob

_ENVIRONMENT = {
    "HOME": "/nonexistent",
    "PATH": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "KUSTOMIZE_PLUGIN_HOME": "/nonexistent",
    "TMPDIR": "/nonexistent",
    # It lives for milliseconds: the collector is only to run where memory gets short.
    "GOMAXPROCS": "1",
    "GOGC": "off",
    "GOMEMLIMIT": "256MiB",
}
_MARKERS = re.compile(rb"^(---|\.\.\.)", re.MULTILINE)  # beyond one that opens the file
_ASK_FOR_ORIGINS = b"\nbuildMetadata: [originAnnotations]\n"


class Kustomize:
    """The `Tool` for kustomizations. `argv` are the words before the folder, as ("kustomize", "build")."""

    def __init__(self, argv: tuple[str, ...], sandbox: Sandbox, work: Path, limits: Limits) -> None:
        program = found_program(argv[0])
        self._argv = (program, *argv[1:])
        self._version = program_digest(program) + " ".join(argv[1:])
        self._sandbox, self._work, self._limits = sandbox, work, limits

    @property
    def version(self) -> str:
        """Names the very bytes of the program: another build is another key."""
        return self._version

    async def run(self, job: ToolJob) -> tuple[tuple[str, bytes], ...]:
        """The objects of the kustomization in `job.folder`, with origin annotations."""
        async with workspace(job, self._work) as root:
            folder = root / job.folder
            _ask_for_origins(folder, self._limits)
            run = Run(
                root=root,
                folder=root,
                argv=(*self._argv, str(folder)),
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
            raise rejected("KNR2401", f"kustomize: {readable(ended.errors, root)}", origin=job.folder)
        return ((job.folder, ended.output),)


def _ask_for_origins(folder: Path, limits: Limits) -> None:
    """Adds `buildMetadata` to the copy; not where it is set already or the form of the file does not allow it."""
    path = next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)
    if path is None:
        return
    data = path.read_bytes()
    try:
        documents = read_documents(data, path.name, limits)
    except KnarrError:
        return
    node = documents[0].node if len(documents) == 1 else None
    if not isinstance(node, yaml.MappingNode) or node.flow_style or "buildMetadata" in documents[0].value:
        return
    if _MARKERS.search(data.strip()[3:]):
        return
    path.chmod(0o644)
    path.write_bytes(data + _ASK_FOR_ORIGINS)
