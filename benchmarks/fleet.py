"""Commit → all 12 clusters of the demo report healthy, by the hub's clock (the demo's fleet, simulated clusters)."""

from __future__ import annotations

import asyncio
import time

from figures import finish, percentile, say
from fleet_lab import fleet_lab

from knarr.cli.demo.fleet import cluster_names, example_files
from knarr.cli.install.clusters import LocalCluster

_COMMITS = 30
_WARM = 2


async def measure() -> dict[str, float | int | str]:
    """Every commit changes the web app, which all clusters run."""
    files = example_files()
    names = cluster_names(files)
    taken = []
    async with fleet_lab(dict(files), tuple(LocalCluster(name=n) for n in names)) as lab:
        settings = files["apps/web/settings.yaml"]
        for number in range(1, _WARM + _COMMITS + 1):
            started = time.monotonic()
            sha = await lab.push(f"sale {number}", {"apps/web/settings.yaml": f"{settings}  sale: 's{number}'\n"})
            commit = await lab.commit_in(sha, ("healthy",), 60)
            seconds = time.monotonic() - started
            if commit["deliveries"]["healthy"] != len(names):
                raise AssertionError(f"{commit['deliveries']} for {len(names)} clusters")
            if number > _WARM:
                taken.append(seconds)
            if number % 10 == 0:
                say(f"{number} commits; the last took {seconds:.3f} s")
    return {
        "p50": round(percentile(taken, 0.5), 4),
        "p99": round(percentile(taken, 0.99), 4),
        "clusters": len(names),
        "commits": len(taken),
    }


if __name__ == "__main__":
    finish(asyncio.run(measure()))
