"""The trace of one commit as a tree with durations, from a real Jaeger: `python benchmarks/trace_tree.py [CLUSTERS]`.

The commit's own trace first, then the trace of its delivery to one cluster, which links back to it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from figures import say
from fleet_lab import fleet_lab, simulated, until

from knarr.local.jaeger import JaegerServer
from knarr.testkit.trace_tree import lines, links, roots

_FLEET: dict[str, str | None] = {
    "fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\nname: traced\nclusters: Enrolled\n"
}


def _app(greeting: str) -> dict[str, str | None]:
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: hello\ndata:\n  greeting: {greeting}\n"
    return {"hello/knarr.yaml": "apiVersion: knarr.dev/v1\nkind: App\n", "hello/hello.yaml": text}


async def main(clusters: int) -> None:
    """Prints both trees."""
    with tempfile.TemporaryDirectory(prefix="knarr-trace-") as folder:
        async with JaegerServer(Path(folder)) as jaeger:
            os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = jaeger.otlp_endpoint
            async with fleet_lab(_FLEET, simulated(clusters)) as lab:
                first = await lab.push("The app", _app("hello"))
                await lab.commit_in(first, ("healthy",))
                sha = await lab.push("A change", _app("hello again"))
                commit = await lab.commit_in(sha, ("healthy",))
                say(f"commit {sha[:8]}, trace {commit['trace_id']}")

                async def delivered() -> tuple[dict[str, Any], ...]:
                    found = await jaeger.traces_of("agent", "deliver")
                    mine = [t for t in found if any(commit["trace_id"] in links(s) for s in t["spans"])]
                    return tuple(mine) if len(mine) == clusters else ()

                deliveries = await until(delivered, 20.0)
                for root in roots(await jaeger.whole_trace(commit["trace_id"])):
                    print("\n".join(lines(root)))
                print(f"\nlinked to it: {len(deliveries)} deliveries; one of them")
                for root in roots(deliveries[0]):
                    print("\n".join(lines(root)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
