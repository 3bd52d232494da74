"""Somebody else's hand in a simulated cluster: edits, deletions and faults, dropped as files into its folder.

Another process writes `<folder>/outside/<n>.json`; the process that runs the cluster looks twice a second, carries
them out in order and removes them. `python -m knarr.agent.adapters.simulated` is the command line for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import structlog

from knarr.agent.adapters.simulated.cluster import SimulatedCluster
from knarr.agent.adapters.simulated.controllers import Faults
from knarr.agent.adapters.simulated.objects import Key
from knarr.pipeline.names import split_object_id

LOG = structlog.get_logger("knarr.agent.simulated")
_LOOK_SECONDS = 0.25
_FOLDER = "outside"
_FAULTS = "faults.json"


def edit(folder: Path, object_id: str, patch: Mapping[str, Any], *, manager: str = "kubectl-edit") -> None:
    """A JSON merge patch of one object (group/Kind/namespace/name), as `kubectl edit` would make it."""
    _drop(folder, {"do": "edit", "object": object_id, "patch": patch, "manager": manager})


def delete(folder: Path, object_id: str) -> None:
    """A deletion by hand."""
    _drop(folder, {"do": "delete", "object": object_id})


def never_ready(folder: Path, images: tuple[str, ...]) -> None:
    """From now on (and after a restart) these image patterns never become ready here; none clears the fault."""
    _drop(folder, {"do": "faults", "never_ready_images": list(images)})


def prepare(folder: Path, cluster: SimulatedCluster) -> None:
    """Faults outlive a restart."""
    path = folder / _FAULTS
    if path.exists():
        what = orjson.loads(path.read_bytes())
        cluster.change_faults(Faults(never_ready_images=tuple(what["never_ready_images"])))


async def attend(clusters: Mapping[Path, SimulatedCluster]) -> None:
    """Carries out what is dropped into the folders of these clusters (they may come and go), until cancelled."""
    while True:
        for folder, cluster in list(clusters.items()):
            for path in _dropped(folder):
                _carry_out(folder, cluster, path)
        await asyncio.sleep(_LOOK_SECONDS)


def _drop(folder: Path, what: Mapping[str, Any]) -> None:
    place = folder / _FOLDER
    place.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns():020d}"
    fresh = place / f"{name}.new"
    fresh.write_bytes(orjson.dumps(what))
    fresh.replace(place / f"{name}.json")


def _dropped(folder: Path) -> list[Path]:
    try:
        return sorted((folder / _FOLDER).glob("*.json"))
    except OSError:
        return []


def _carry_out(folder: Path, cluster: SimulatedCluster, path: Path) -> None:
    try:
        what = orjson.loads(path.read_bytes())
        match what["do"]:
            case "edit":
                cluster.edit(_key(what["object"]), what["patch"], what["manager"])
            case "delete":
                cluster.remove(_key(what["object"]))
            case "faults":
                (folder / _FAULTS).write_bytes(orjson.dumps(what))
                cluster.change_faults(Faults(never_ready_images=tuple(what["never_ready_images"])))
    except (KeyError, ValueError, TypeError) as error:
        LOG.warning("what was dropped cannot be read", file=path.name, error=type(error).__name__)
    finally:
        path.unlink(missing_ok=True)


def _key(identity: str) -> Key:
    group, kind, namespace, name = split_object_id(identity)
    return (group, kind, namespace, name)
