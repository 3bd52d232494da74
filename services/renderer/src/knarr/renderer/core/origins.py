"""File and line of every object that a tool made.

kustomize says from which file an object came (its origin annotation, asked for by the adapter and taken out again
here); the line is found by looking into that file. Helm says the template. Origins are kept with the revision, never
in the bundle (design section 2).
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from knarr.pipeline.errors import KnarrError
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.normalise import Found
from knarr.renderer.core.raw import Raw
from knarr.renderer.core.spec import Spec
from knarr.renderer.core.tree import Contents, File, join
from knarr.renderer.core.yaml_kubectl import read_documents

ANNOTATION = "config.kubernetes.io/origin"
_Lines = dict[tuple[str, str], int]


def traced(raw: Raw, spec: Spec, contents: Contents, limits: Limits) -> Raw:
    """`raw` with origins in the source, and without the tool's own annotation."""
    if spec.renderer == "helm":
        return replace(raw, found=tuple(f for f in raw.found if not _is_test(f)))
    if spec.renderer != "kustomize":
        return raw
    files = {file.path: file for file in spec.files}
    lines: dict[str, _Lines] = {}
    return replace(raw, found=tuple(_traced(item, spec, files, lines, contents, limits) for item in raw.found))


def _is_test(found: Found) -> bool:
    """Helm's tests are run by hand, not applied."""
    annotations = found.manifest["metadata"].get("annotations")
    hook = annotations.get("helm.sh/hook") if isinstance(annotations, dict) else None
    hooks = {part.strip() for part in hook.split(",")} if isinstance(hook, str) else set()
    return bool(hooks & {"test", "test-success", "test-failure"})


def _traced(
    item: Found, spec: Spec, files: Mapping[str, File], lines: dict[str, _Lines], contents: Contents, limits: Limits
) -> Found:
    metadata = item.manifest["metadata"]
    annotations = metadata.get("annotations")
    text = annotations.get(ANNOTATION) if isinstance(annotations, dict) else None
    fallback = f"{join(spec.folder, 'kustomization.yaml')}:1"
    if not isinstance(text, str):
        return Found(manifest=item.manifest, origin=fallback)
    kept = {k: v for k, v in annotations.items() if k != ANNOTATION}
    cleaned = {**item.manifest, "metadata": {**metadata, "annotations": kept}}
    if not kept:
        del cleaned["metadata"]["annotations"]
    path = _path(text, spec.folder)
    if path not in files:
        return Found(manifest=cleaned, origin=fallback)
    if path not in lines:
        lines[path] = _lines(path, files[path], contents, limits)
    line = _line(lines[path], cleaned)
    return Found(manifest=cleaned, origin=f"{path}:{line}")


def _path(text: str, folder: str) -> str:
    """The path in an origin annotation: `path: ../base/x.yaml`, or `configuredIn:` for a generated object."""
    fields = dict(line.strip().partition(": ")[::2] for line in text.splitlines())
    relative = fields.get("path") or fields.get("configuredIn") or ""
    return posixpath.normpath(posixpath.join("/", folder, relative)).lstrip("/")


def _lines(path: str, file: File, contents: Contents, limits: Limits) -> _Lines:
    """(kind, name) → line of every document of a file."""
    try:
        documents = read_documents(contents.read(file.content_id), path, limits)
    except KnarrError:
        return {}
    found: _Lines = {}
    for document in documents:
        value: Any = document.value
        metadata = value.get("metadata") if isinstance(value, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else ""
        found.setdefault((str(value.get("kind")) if isinstance(value, dict) else "", str(name)), document.line)
    return found


def _line(lines: _Lines, manifest: Mapping[str, Any]) -> int:
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    exact = lines.get((kind, name))
    if exact is not None:
        return exact
    of_kind = [line for (k, n), line in lines.items() if k == kind and n and n in name]
    return of_kind[0] if len(of_kind) == 1 else 1
