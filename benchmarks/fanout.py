"""1,000 simulated agents, one app of one variant changed everywhere, all at once.

Each cluster's time runs from before the push to its healthy report, as the hub's clock has it in the broker's own
timestamp. What the change cost is counted at the broker: Git fetches, renders, blobs.
"""

from __future__ import annotations

import asyncio
import sys
import time

from figures import finish, percentile, say
from fleet_lab import FleetLab, fleet_lab, simulated, until

from knarr.messaging.consume import newest_of_all
from knarr.messaging.streams import BLOBS, COMMITS, REPORTS, REVISIONS
from knarr.pipeline.report import AppReport, AppState
from knarr.pipeline.revision import CommitRendered

_FLEET = "apiVersion: knarr.dev/v1\nkind: Fleet\nname: fanout\nclusters: Enrolled\n"
_CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  namespace: default\ndata:\n  value: '{}'\n"


async def sequence(lab: FleetLab, stream: str) -> int:
    """The stream's last sequence."""
    return int((await lab.broker.jetstream().stream_info(stream)).state.last_seq)


async def change(lab: FleetLab, number: int, count: int) -> tuple[list[float], dict[str, int]]:
    """(seconds per cluster, what it cost) for one change everywhere."""
    blobs, commits = await sequence(lab, BLOBS), await sequence(lab, COMMITS)
    started = time.time()
    sha = await lab.push(f"value {number}", {"app/config.yaml": _CONFIG.format(number)})
    await lab.commit_in(sha, ("healthy",), 120)
    reports = await newest_of_all(lab.broker, REPORTS, "report.*.app.app", AppReport)
    taken = [r.stored_at - started for r in reports if r.value.state is AppState.HEALTHY]
    late = [t for t in taken if t < 0]
    if len(taken) != count or late:
        raise AssertionError(f"{len(taken)} of {count} clusters healthy, {len(late)} of them from before")
    rendered = await lab.broker.newest(REVISIONS, "rendered.fleet", CommitRendered)
    stored = await sequence(lab, COMMITS) - commits
    cost = {
        "fetches": stored // 2,  # CommitObserved and SnapshotStored, once per fetch
        "renders": rendered.value.renders if rendered else -1,
        "blobs": await sequence(lab, BLOBS) - blobs,
    }
    return taken, cost


async def measure(count: int) -> dict[str, float | int | str]:
    """Three changes; the times of all, the cost of the last."""
    files: dict[str, str | None] = {"fleet.yaml": _FLEET, "app/config.yaml": _CONFIG.format(0)}
    taken: list[float] = []
    cost: dict[str, int] = {}
    async with fleet_lab(files, simulated(count)) as lab:
        say(f"{count} agents enrolled; waiting for the first commit everywhere")

        async def all_healthy() -> bool:
            standings = (await lab.ask("summary"))["clusters"]["standings"]
            return bool(standings.get("healthy", 0) == count)

        await until(all_healthy, 300)
        for number in range(1, 4):
            seconds, cost = await change(lab, number, count)
            taken += seconds
            say(f"change {number}: last cluster after {max(seconds):.2f} s; {cost}")
    return {
        "p50": round(percentile(taken, 0.5), 4),
        "p99": round(percentile(taken, 0.99), 4),
        "slowest": round(max(taken), 4),
        **cost,
        "clusters": count,
    }


if __name__ == "__main__":
    finish(asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)))
