"""The replay of a hub outage, on a real API server with a real NATS and a real agent process.

`python benchmarks/outage.py --minutes 10` cuts the hub off for ten minutes. Hands go on editing and deleting in the
cluster; in the middle the agent is killed, more is edited while it is dead, and it starts again without a hub.
Everything must be as assigned all the time but for moments, and when the hub is back it must learn what happened and
go on. Prints the timeline, then one line of JSON. Fails when something was not healed or not told.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from agent_lab import CLUSTER, Lab, lab
from figures import finish

from knarr.messaging.streams import REPORTS
from knarr.messaging.subjects import report_app_subject
from knarr.pipeline.assignment import AssignedApp
from knarr.pipeline.errors import KnarrError
from knarr.pipeline.report import AppReport, AppState
from knarr.testkit.agent_bench import config_map
from knarr.testkit.agent_hub import bundle_of
from knarr.testkit.kube_bench import Hand

NAMESPACE = "shop"
OBJECTS = 12
HEAL_SECONDS = 10.0


@dataclass(slots=True)
class Replay:
    """What happened, and when."""

    made: Lab
    hand: Hand
    begun: float = field(default_factory=time.monotonic)
    edits: int = 0
    healed: list[float] = field(default_factory=list)

    def tell(self, text: str) -> None:
        """One line of the timeline."""
        print(f"{time.monotonic() - self.begun:8.2f} s  {text}", flush=True)

    async def meddle(self, *, wait: bool = True) -> None:
        """A hand edits or deletes the next object; how long until it is as assigned again."""
        name, delete = f"n{self.edits % OBJECTS}", self.edits % 3 == 2
        if delete:
            await self.hand.delete("configmaps", name)
        else:
            await self.hand.edit("configmaps", name, {"data": {"value": f"by hand {self.edits}"}})
        self.edits += 1
        what = "deleted" if delete else "edited"
        if not wait:
            self.tell(f"{name} {what} by hand")
            return
        begun = time.monotonic()
        await self.is_healed(name)
        self.healed.append(time.monotonic() - begun)
        self.tell(f"{name} {what} by hand, healed after {self.healed[-1] * 1000:.0f} ms")

    async def is_healed(self, name: str) -> None:
        """Waits until the object is as assigned."""
        await self.hand.until("configmaps", name, lambda f: f is not None and f["data"]["value"] == "1", HEAL_SECONDS)

    async def all_healed(self) -> None:
        """Waits until all of them are."""
        for n in range(OBJECTS):
            await self.is_healed(f"n{n}")


def bundle(version: str) -> Any:
    """Twelve ConfigMaps."""
    return bundle_of(
        "shop",
        *(config_map(f"n{n}", NAMESPACE, value="1", version=version) for n in range(OBJECTS)),
        namespace=NAMESPACE,
    )


async def replay(seconds: float, pause: float) -> dict[str, Any]:
    """The figures of one outage."""
    async with lab() as made:
        r = Replay(made, Hand(made.kube, NAMESPACE))
        apps: dict[str, AssignedApp] = {}
        await made.assign([bundle("1")], apps)
        await made.until(lambda: made.all_healthy(apps))
        r.tell(f"{OBJECTS} objects applied and reported healthy")
        reports = made.app_messages
        await made.nats.kill()
        began = time.monotonic()
        r.tell(f"the hub is killed, for {seconds:g} s")
        await meddle_until(r, began + seconds / 2, pause)
        restart_seconds = await restart(r)
        await meddle_until(r, began + seconds, pause)
        assert made.app_messages == reports
        return {"outage_s": round(time.monotonic() - began, 1), **await come_back(r, apps, restart_seconds)}


async def meddle_until(r: Replay, end: float, pause: float) -> None:
    """Hands at work until then."""
    await r.meddle()
    while time.monotonic() + pause < end:
        await asyncio.sleep(pause)
        await r.meddle()


async def restart(r: Replay) -> float:
    """The agent is killed, is edited behind its back, and starts without a hub; seconds until all is healed."""
    await r.made.agent.kill()
    r.tell("the agent is killed")
    for _ in range(3):
        await r.meddle(wait=False)
    begun = time.monotonic()
    await r.made.agent.start()
    r.tell(f"the agent is started again, without a hub; ready after {time.monotonic() - begun:.2f} s")
    await r.all_healed()
    r.tell(f"all {OBJECTS} objects are as last assigned {time.monotonic() - begun:.2f} s after its start")
    return time.monotonic() - begun


async def come_back(r: Replay, apps: dict[str, AssignedApp], restart_seconds: float) -> dict[str, Any]:
    """The hub is there again: it learns what happened, and a newer assignment goes on."""
    made = r.made
    await made.nats.start()
    begun = time.monotonic()
    r.tell("the hub is back")
    wanted = min(20, r.edits)
    told = (await newest(made, lambda report: len(report.drift) >= wanted)).drift
    r.tell(
        f"its report is there after {time.monotonic() - begun:.2f} s: {len(told)} entries of drift, the newest 20 kept"
    )
    reported = time.monotonic() - begun
    begun = time.monotonic()
    await made.assign([bundle("2")], apps)
    await newest(made, lambda report: report.digest == apps["shop"].digest and report.state is AppState.HEALTHY)
    r.tell(f"the next assignment is applied and healthy {time.monotonic() - begun:.2f} s after it was stored")
    return {
        "edits": r.edits,
        "healed_worst_s": round(max(r.healed), 3),
        "restart_to_healed_s": round(restart_seconds, 3),
        "drift_told": len(told),
        "reported_after_s": round(reported, 3),
        "next_assignment_s": round(time.monotonic() - begun, 3),
    }


async def newest(made: Lab, holds: Callable[[AppReport], bool]) -> AppReport:
    """The app's newest report in the hub's stream, once something holds of it."""
    async with asyncio.timeout(60):
        while True:
            try:
                found = await made.broker.newest(REPORTS, report_app_subject(CLUSTER, "shop"), AppReport)
            except KnarrError:  # not connected again yet
                found = None
            if found is not None and holds(found.value):
                return found.value
            await asyncio.sleep(0.02)


def main() -> None:
    """Parses and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=0.2, help="how long the hub is away")
    given = parser.parse_args()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    seconds = given.minutes * 60
    figures = asyncio.run(replay(seconds, max(0.5, seconds / 40)))
    finish(figures)


if __name__ == "__main__":
    main()
    sys.exit(0)
