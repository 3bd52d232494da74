"""The fleet repository that an installation follows, as far as `knarr up` has to know it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pygit2
import yaml

from knarr.pipeline.errors import rejected, retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlace:
    """Where the fleet's Git is, and the clusters that it documents at its head."""

    url: str
    local: bool
    documented: tuple[str, ...]


def find_fleet(where: str) -> FleetPlace:
    """A folder below a Git work tree, a bare repository, or a URL. KNR6203 when it is none of them."""
    path = Path(where).expanduser()
    if path.exists():
        found = pygit2.discover_repository(str(path.resolve()))
        if found is None:
            raise rejected("KNR6203", f"{path} is not in a Git repository; `git init` there, commit, and try again")
        repository = pygit2.Repository(found)
        if repository.head_is_unborn:
            raise rejected("KNR6203", f"the repository at {path} has no commit yet")
        return FleetPlace(url=str(Path(found).resolve()), local=True, documented=_documented(repository))
    if "://" not in where and "@" not in where:
        raise rejected("KNR6203", f"{where} is neither a folder nor a URL")
    return FleetPlace(url=where, local=False, documented=_documented_at(where))


def _documented_at(url: str) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory(prefix="knarr-fleet-") as folder:
        try:
            return _documented(pygit2.clone_repository(url, folder, bare=True, depth=1))
        except (pygit2.GitError, KeyError) as error:
            raise retryable("KNR6204", f"the fleet repository cannot be read: {error}") from error


def _documented(repository: pygit2.Repository) -> tuple[str, ...]:
    tree: Any = repository.head.peel(pygit2.Tree)
    if "clusters" not in tree:
        return ()
    files = [(str(entry.name), entry) for entry in tree["clusters"]]
    return tuple(
        sorted(
            _name_in(entry.data) or Path(name).stem
            for name, entry in files
            if name.endswith((".yaml", ".yml")) and isinstance(entry, pygit2.Blob)
        )
    )


def _name_in(content: bytes) -> str:
    """The renderer judges the document; here only its name is wanted."""
    try:
        document = yaml.safe_load(content)
    except yaml.YAMLError:
        return ""
    return str(document.get("name") or "") if isinstance(document, dict) else ""
