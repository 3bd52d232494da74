"""What a tool is given: the files of an app, laid out in a folder of their own.

Only regular files, only inside the source, within limits; links and submodules among them are refused with a number
(I5: for this app alone). Called by the flow; adapters/workspace.py writes the layout to disk, read-only.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from knarr.pipeline.digest import digest_of
from knarr.pipeline.failure import Failure
from knarr.pipeline.snapshot import FileMode
from knarr.renderer.core.failures import failure
from knarr.renderer.core.limits import Limits
from knarr.renderer.core.tree import File, Tree, join

MANIFEST_ENDINGS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Files by path of the source, and the digest of everything that is laid out."""

    files: tuple[File, ...] = ()
    digest: bytes = b""
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder of the tree that the tool sees at another path as well."""

    at: str
    folder: str


def folders_layout(tree: Tree, folders: tuple[str, ...], limits: Limits, mounts: tuple[Mount, ...] = ()) -> Layout:
    """Every file in and below `folders`, and those of `mounts`; a path of a file stands for that file."""
    places = (*((f, f) for f in folders), *((mount.at, mount.folder) for mount in mounts))
    digest = digest_of(part for at, f in places for part in (at.encode("utf-8", "surrogateescape"), tree.digest(f)))
    files = [file for folder in folders for file in _files(tree, folder)]
    for mount in mounts:
        files += mounted(tree, mount)
    return _checked(files, digest, limits)


def mounted(tree: Tree, mount: Mount) -> list[File]:
    """The files of a mount by the paths that the tool sees."""
    return [
        replace(f, path=join(mount.at, f.path.removeprefix(mount.folder).lstrip("/"))) for f in tree.under(mount.folder)
    ]


def _files(tree: Tree, path: str) -> Iterable[File]:
    file = tree.file(path)
    return tree.under(path) if file is None else (file,)


def plain_layout(tree: Tree, folder: str, apps: frozenset[str], limits: Limits) -> Layout:
    """The manifests of a plain app: YAML and JSON at any depth, but hidden ones and the folders of other `apps`."""
    files = _manifests(tree, folder, apps)
    parts = (
        part for f in files for part in (f.path.encode("utf-8", "surrogateescape"), f.mode.value.encode(), f.content_id)
    )
    return _checked(files, digest_of(parts), limits)


def _manifests(tree: Tree, folder: str, apps: frozenset[str]) -> list[File]:
    found: list[File] = []
    for name in tree.names(folder):
        path = f"{folder}/{name}" if folder else name
        file = tree.file(path)
        if name.startswith("."):
            continue
        if file is None:
            found += [] if path in apps else _manifests(tree, path, apps)
        elif name != "knarr.yaml" and (name.endswith(MANIFEST_ENDINGS) or file.mode is FileMode.SYMLINK):
            found.append(file)
    return found


def _checked(files: list[File], digest: bytes, limits: Limits) -> Layout:
    failures = [refusal for file in files if (refusal := _refusal(file, limits))]
    size = sum(f.size for f in files)
    where = files[0].path if files else ""
    if len(files) > limits.app_files:
        failures = [failure("KNR2307", f"{len(files)} files; an app has at most {limits.app_files}", origin=where)]
    elif size > limits.app_bytes:
        failures = [failure("KNR2307", f"{size} bytes; an app has at most {limits.app_bytes}", origin=where)]
    failures += _case_clashes(files)
    return Layout(files=tuple(files), digest=digest, failures=tuple(failures))


def _refusal(file: File, limits: Limits) -> Failure | None:
    shown = file.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if file.path != shown:
        return failure("KNR2310", f"{shown!r} is not UTF-8", origin=shown)
    if file.mode is FileMode.SYMLINK:
        return failure("KNR2304", f"{shown} is a symlink", origin=shown)
    if file.mode is FileMode.SUBMODULE:
        return failure("KNR2308", f"{shown} is a submodule", origin=shown)
    if any(part in ("", ".", "..", ".git") for part in shown.split("/")) or "\x00" in shown or "\\" in shown:
        return failure("KNR2310", f"{shown!r} is no usable path", origin=shown)
    if len(shown.encode()) > limits.path_bytes or any(len(part.encode()) > 255 for part in shown.split("/")):
        return failure("KNR2310", f"{shown[:80]!r}... is too long a path", origin=shown[:80])
    if file.size > limits.file_bytes:
        return failure("KNR2002", f"{file.size} bytes; at most {limits.file_bytes} are read", origin=shown)
    return None


def _case_clashes(files: list[File]) -> list[Failure]:
    """Two paths that are one on some file systems: what is rendered must not depend on where."""
    seen: dict[str, str] = {}
    clashes = []
    for file in files:
        folded = unicodedata.normalize("NFC", file.path).casefold()
        other = seen.get(folded)
        seen.setdefault(folded, file.path)
        if other == file.path:
            clashes.append(failure("KNR2312", f"{file.path} stands in two places", origin=file.path))
        elif other is not None:
            message = f"{file.path} and {other} differ only in case or Unicode form"
            clashes.append(failure("KNR2312", message, origin=file.path))
    return clashes
