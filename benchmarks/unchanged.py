"""A commit that changes no app (a README edit): what it costs behind the fetcher. Counted at the broker."""

from __future__ import annotations

import asyncio

from figures import finish, say
from fleet_lab import FleetLab, fleet_lab

from knarr.cli.demo.fleet import cluster_names, example_files
from knarr.cli.install.clusters import LocalCluster
from knarr.messaging.streams import ASSIGNMENTS, BLOBS, REVISIONS
from knarr.pipeline.revision import CommitRendered

_COMMITS = 10


async def sequences(lab: FleetLab) -> dict[str, int]:
    """Last sequence of the streams that a change would touch."""
    js = lab.broker.jetstream()
    return {name: int((await js.stream_info(name)).state.last_seq) for name in (ASSIGNMENTS, BLOBS)}


async def measure() -> dict[str, float | int | str]:
    """Ten README edits on the demo's fleet, once it is healthy."""
    files = example_files()
    names = cluster_names(files)
    renders = hints = 0

    async def hint(_message: object) -> None:
        nonlocal hints
        hints += 1

    first: dict[str, str | None] = {n: t for n, t in files.items() if not n.startswith("apps/")}
    apps: dict[str, str | None] = {n: t for n, t in files.items() if n.startswith("apps/")}
    async with fleet_lab(first, tuple(LocalCluster(name=n) for n in names)) as lab:
        sha = await lab.push("the apps", apps)
        await lab.commit_in(sha, ("healthy",), 120)
        before = await sequences(lab)
        await lab.broker.subscribe("hint.*", hint)
        for number in range(1, _COMMITS + 1):
            sha = await lab.push(f"README {number}", {"README.md": f"# Shop {number}\n"})
            await lab.commit_in(sha, ("unchanged",), 60)
            rendered = await lab.broker.newest(REVISIONS, "rendered.fleet", CommitRendered)
            if rendered is None or rendered.value.commit is None or rendered.value.commit.sha != sha:
                raise AssertionError("the commit was not closed")
            renders += rendered.value.renders
        after = await sequences(lab)
        say(f"{before} → {after}")
    return {
        "renders": renders,
        "assignments": after[ASSIGNMENTS] - before[ASSIGNMENTS],
        "messages": hints,
        "blobs": after[BLOBS] - before[BLOBS],
        "commits": _COMMITS,
    }


if __name__ == "__main__":
    finish(asyncio.run(measure()))
