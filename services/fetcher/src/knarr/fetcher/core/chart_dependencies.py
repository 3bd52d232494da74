"""The charts that charts in Git depend on: Chart.yaml's dependencies that are not vendored in charts/.

Helm's own Chart.lock, where there is one, says which version of each. Only remote repositories count here: file:// is
the same source, and what is wrong in a Chart.yaml is the renderer's to report. Which chart folders an app uses is not
known here, so those of all charts of the source are meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import yaml

from knarr.fetcher.core.chart_references import child, composed, is_usable, text_of
from knarr.fetcher.core.tree import TreeFile
from knarr.pipeline.chart_lock import RESERVED_FOLDER, ChartReference
from knarr.pipeline.snapshot import FileMode
from knarr.pipeline.subcharts import vendored
from knarr.pipeline.versions import satisfies

CHART_FILE = b"Chart.yaml"
CHART_LOCK = b"Chart.lock"
CREDENTIALS = "knarr.dev/credentials"  # annotation of Chart.yaml: "dependency=credential, other=credential"
_SUBCHARTS = b"charts"
_RESERVED = f"{RESERVED_FOLDER}/".encode()
_REMOTE = ("https://", "http://", "oci://")
_MOST = 100  # dependencies of one chart
_NOT_THERE = "?"  # what no version is: Chart.lock is there and says nothing of the dependency
REGULAR = (FileMode.REGULAR, FileMode.EXECUTABLE)


def is_chart_file(path: bytes) -> bool:
    """Whether a change of this file may change what a chart depends on."""
    *folders, name = path.split(b"/")
    return name in (CHART_FILE, CHART_LOCK) or _SUBCHARTS in folders


def is_chart_description(path: bytes) -> bool:
    """Whether this is the file that dependencies are named in."""
    return path.rpartition(b"/")[2] == CHART_FILE


def descriptions_in(files: Mapping[bytes, TreeFile]) -> tuple[bytes, ...]:
    """Paths of every Chart.yaml, but those of charts vendored inside another chart: these come with what they need."""
    found = [p for p, f in files.items() if is_chart_description(p) and f.mode in REGULAR]
    return tuple(sorted(p for p in found if not p.startswith(_RESERVED) and not _is_vendored(p, files)))


def vendored_in(files: Iterable[bytes]) -> Mapping[bytes, frozenset[str]]:
    """Folder of a chart → names of what lies in its charts/."""
    found: dict[bytes, set[str]] = {}
    for path in files:
        parts = path.split(b"/")
        for at, part in enumerate(parts[:-1]):
            if part == _SUBCHARTS:
                found.setdefault(b"/".join(parts[:at]), set()).add(parts[at + 1].decode("utf-8", "replace"))
    return {folder: frozenset(names) for folder, names in found.items()}


@lru_cache(maxsize=512)
def dependencies_in(description: bytes, lock: bytes | None, names: frozenset[str]) -> tuple[ChartReference, ...]:
    """What a Chart.yaml needs from elsewhere, with the versions of its Chart.lock; `names` lie in its charts/.

    Remembered, since all charts of a source are looked at again when one of them changes.
    """
    root = composed(description)
    locked = _entries(composed(lock)) if lock is not None else None
    credentials = _credentials(text_of(child(child(root, "annotations"), CREDENTIALS)))
    return tuple(
        ChartReference(
            repository=entry["repository"],
            name=entry["name"],
            version=entry["version"] or "*",
            credentials=credentials.get(entry["name"], ""),
            locked=_locked(entry, locked) if locked is not None else "",
        )
        for entry in _entries(root)
        if entry["repository"].startswith(_REMOTE) and is_usable(entry) and not vendored(entry["name"], names)
    )


def _entries(root: yaml.Node | None) -> tuple[dict[str, str], ...]:
    listed = child(root, "dependencies")
    items = listed.value[:_MOST] if isinstance(listed, yaml.SequenceNode) else ()
    return tuple({key: _scalar(child(item, key)) for key in ("name", "repository", "version")} for item in items)


def _scalar(node: yaml.Node | None) -> str:
    """As written: Helm takes `version: 1.20` for a text."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _locked(entry: Mapping[str, str], locked: Iterable[Mapping[str, str]]) -> str:
    """The version in Chart.lock; of several of one name (aliases) the one that fits, else the first."""
    same = [
        x["version"]
        for x in locked
        if x["name"] == entry["name"] and x["repository"].rstrip("/") == entry["repository"].rstrip("/")
    ]
    return next((v for v in same if satisfies(v, entry["version"] or "*")), same[0] if same else _NOT_THERE)


def _credentials(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(","))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip() and value.strip()}


def _is_vendored(path: bytes, files: Mapping[bytes, TreeFile]) -> bool:
    parts = path.split(b"/")
    above = (b"/".join([*parts[:at], CHART_FILE]) for at, part in enumerate(parts[:-1]) if part == _SUBCHARTS)
    return any(p in files for p in above)
