"""Waiting for the fleet, seen through its own API: a commit's way, a cluster's standing, what is held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from knarr.cli.api import Api
from knarr.cli.demo.narrator import Narrator
from knarr.cli.tables import counts, span
from knarr.pipeline.errors import KnarrError, rejected
from knarr.pipeline.names import split_object_id

_LOOK_SECONDS = 0.1
_WITHOUT_DELIVERY = {"held": "held: nothing was sent", "unchanged": "unchanged: no cluster has anything to do"}
Row = dict[str, Any]


class Watcher:
    """Asks until something holds; says meanwhile how far it is."""

    def __init__(self, api: Api, narrator: Narrator, state: str) -> None:
        self._api = api
        self._narrator = narrator
        self._state = state

    async def ask(self, path: str, **query: str) -> Any:
        """One answer of the API."""
        return await asyncio.to_thread(lambda: self._api.get(path, **query))

    async def until(self, what: str, look: Callable[[], Any], seconds: float = 60.0) -> Any:
        """The first true answer of `look` (a coroutine function). KNR6220 when it does not come in time."""
        deadline = time.monotonic() + seconds
        last = ""
        while time.monotonic() < deadline:
            try:
                found = await look()
            except KnarrError as error:
                found, last = None, error.message
            if found:
                return found
            await asyncio.sleep(_LOOK_SECONDS)
        raise rejected(
            "KNR6220", f"{what} did not happen in {seconds:g} s; logs: {self._state}/services {last}".strip()
        )

    async def commit(self, sha: str, states: tuple[str, ...], seconds: float = 90.0) -> Row:
        """The commit once it is in one of `states`; its stages are shown as they end."""

        async def look() -> Row | None:
            items = (await self.ask("commits", sha=sha, limit="1"))["items"]
            if not items:
                self._narrator.live("waiting for the fetcher")
                return None
            commit: Row = items[0]
            self._narrator.live(progress(commit))
            return commit if commit["state"] in states else None

        commit: Row = await self.until(f"commit {sha[:10]} being {' or '.join(states)}", look, seconds)
        self._narrator.fact(stages(commit))
        return commit

    async def placement(self, cluster: str, app: str, standing: tuple[str, ...], seconds: float = 60.0) -> Row:
        """An app in a cluster, once it stands so."""

        async def look() -> Row | None:
            placements = (await self.ask(f"clusters/{cluster}"))["placements"]
            return next((p for p in placements if p["app"] == app and p["standing"] in standing), None)

        found: Row = await self.until(f"{app} in {cluster} being {' or '.join(standing)}", look, seconds)
        return found


def progress(commit: Row) -> str:
    """`delivering 7/36 ███████░░░`; only the state before anything is to be delivered."""
    done, total = commit["deliveries"]["healthy"], commit["deliveries"]["total"]
    if not total:
        return str(commit["state"])
    bar = "█" * (20 * done // total) + "░" * (20 - 20 * done // total)
    return f"{commit['state']:<10} {done}/{total} {bar}"


def stages(commit: Row) -> str:
    """How long each stage took, and what came of it."""
    taken = "  ".join(f"{s['stage']} {span(s['seconds'])}" for s in commit["stages"] if s["seconds"] is not None)
    return f"{commit['short']}  {taken}\n{_outcome(commit)}"


def _outcome(commit: Row) -> str:
    deliveries = commit["deliveries"]
    if deliveries["total"]:
        return f"{commit['state']}: {deliveries['healthy']} of {deliveries['total']} (cluster, app)"
    state = str(commit["state"])
    return _WITHOUT_DELIVERY.get(state, state)


def fleet_line(summary: Row) -> str:
    """The fleet in one line."""
    return f"{summary['clusters']['total']} clusters: {counts(summary['clusters']['standings'])}"


def losses(held: Row) -> str:
    """What a held revision would delete, by kind."""
    lines = []
    for loss in held["losses"]:
        lines.append(f"would go in {', '.join(loss['clusters'])}:")
        kinds: dict[str, list[str]] = {}
        for identity in loss["objects"]:
            _, kind, _, name = split_object_id(identity)
            kinds.setdefault(kind, []).append(name)
        lines += [f"  {kind}: {', '.join(names)}" for kind, names in kinds.items()]
    return "\n".join(lines)
