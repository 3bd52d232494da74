"""Runs every benchmark (or reads their last lines from a folder) and writes RESULTS.md: promise, figure, peers.

`python benchmarks/results.py [FOLDER]`: with a folder, `<name>.json` there is read where it exists instead of measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import say

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Promise:
    """One figure of one benchmark: what it means, the bound, and what peers' controllers did on such a machine."""

    bench: str
    key: str
    meaning: str
    bound: str
    peers: str = ""

    def kept(self, value: float) -> bool:
        """Whether the figure is within the bound; without a bound it always is."""
        if not self.bound:
            return True
        sign, _, limit = self.bound.partition(" ")
        return {"<": value < float(limit), "≤": value <= float(limit), "≥": value >= float(limit)}.get(
            sign, value == float(limit)
        )


PROMISES = (
    Promise("latency", "p50", "commit (webhook) → applied, one real API server, s", "< 0.5", "Argo CD 0.61, Flux 6.4"),
    Promise("latency", "p99", "", "< 1.5", "Argo CD 0.71 (max)"),
    Promise("fleet", "p50", "commit → 12 clusters report healthy, s", "< 2"),
    Promise("fleet", "p99", "", "< 3"),
    Promise("fanout", "p50", "1,000 agents, one app changed everywhere, s", ""),
    Promise("fanout", "p99", "", "< 3"),
    Promise("fanout", "fetches", "… Git fetches", "= 1"),
    Promise("fanout", "renders", "… renders", "= 1"),
    Promise("fanout", "blobs", "… bundles stored", "= 1"),
    Promise("unchanged", "renders", "ten commits that change no app: renders", "= 0"),
    Promise("unchanged", "assignments", "… assignments", "= 0"),
    Promise("unchanged", "messages", "… messages to clusters", "= 0"),
    Promise("agent", "rss_mib", "agent, 300 objects watched, OTLP on, MiB", "≤ 64", "Flux 140–200, Argo CD 342–743"),
    Promise("agent", "rss_cel_mib", "… with a CEL rule", ""),
    Promise("agent", "idle_cpu_percent", "… idle, % of a core", "≤ 0.3"),
    Promise("agent", "kib_per_object", "… memory per object, 300 → 10,000, KiB", "≤ 4"),
    Promise(
        "apply",
        "floor_ratio",
        "1,000 apps × 4 objects, against a bare loop",
        "≤ 1.5",
        "Flux 205 s, Argo CD 193 s for 500",
    ),
    Promise("apply", "one_of_1000_s", "one of 1,000 apps changed, s", "≤ 0.15", "Flux 32–120, Argo CD 0.6–0.75"),
    Promise("apply", "requests_created", "requests per created object", "= 1"),
    Promise("apply", "requests_changed", "… changed", "= 1"),
    Promise("apply", "requests_unchanged", "… unchanged", "= 0"),
    Promise("apply", "unchanged_s", "4,000 unchanged objects again, s", "≤ 2"),
    Promise("drift", "p50", "hand edit → healed, s", "< 0.2", "Argo CD 0.3, Flux 58"),
    Promise("drift", "p99", "", "< 1"),
    Promise("render", "one_of_1000_s", "one of 1,000 kustomize apps changed → revision, s", "≤ 0.6"),
    Promise("render", "speedup", "1,000 apps cold, against kubectl one by one", "≥ 3"),
    Promise("render", "renders", "10,000 clusters × 50 apps × 5 variants: renders", "= 250"),
    Promise("render", "matrix_s", "… longer than 5 clusters, s", "≤ 2"),
    Promise("render", "helm_ratio", "chart of 200 objects, against helm template", "≤ 2"),
    Promise("render", "unequal", "objects unequal to the tools' own", "= 0"),
)


def figures_of(bench: str, folder: Path | None) -> dict[str, Any]:
    """The benchmark's line: read from the folder, or measured now."""
    kept = folder / f"{bench}.json" if folder else None
    if kept is not None and kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text().splitlines()[-1])
        return found
    say(f"measuring {bench}")
    done = subprocess.run([sys.executable, str(HERE / f"{bench}.py")], stdout=subprocess.PIPE, check=True, text=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def table(all_figures: dict[str, dict[str, Any]]) -> list[str]:
    """The rows of RESULTS.md."""
    rows = ["| `make bench-…` | what | key | promise | figure | kept | peers on such a machine |", "| --- " * 7 + "|"]
    for p in PROMISES:
        value = all_figures[p.bench][p.key]
        kept = ("yes" if p.kept(float(value)) else "**no**") if p.bound else ""
        rows.append(f"| {p.bench} | {p.meaning} | `{p.key}` | {p.bound} | {value} | {kept} | {p.peers} |")
    return rows


def main(arguments: list[str]) -> int:
    """Writes RESULTS.md; exit code 1 when a promise is not kept."""
    folder = Path(arguments[0]) if arguments else None
    found = {bench: figures_of(bench, folder) for bench in dict.fromkeys(p.bench for p in PROMISES)}
    lines = [
        "# Results",
        "",
        "Written by `make bench`. The line of JSON that each benchmark ends with is below; times are in seconds unless",
        "named. The machines are shared and noisy: read ratios and orders of magnitude. Peers: Flux and Argo CD on a",
        "machine of the same kind (one etcd, one kube-apiserver, controllers as local processes).",
        "",
        *table(found),
        "",
        "## The lines",
        "",
        "```json",
        *(json.dumps({"bench": bench, **figures}) for bench, figures in found.items()),
        "```",
        "",
        (HERE / "notes.md").read_text().rstrip(),
    ]
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n")
    broken = [f"{p.bench} {p.key}" for p in PROMISES if not p.kept(float(found[p.bench][p.key]))]
    say("not kept: " + ", ".join(broken) if broken else "every promise is kept")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
