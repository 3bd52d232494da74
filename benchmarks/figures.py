"""What every benchmark shares: progress on stderr, percentiles, the environment, one flat JSON line at the end."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    place = max(0, -(-int(share * 1000 * len(ordered)) // 1000) - 1)
    return ordered[min(place, len(ordered) - 1)]


def environment() -> dict[str, str]:
    """What the figures depend on."""
    found = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu_count": str(os.cpu_count()),
        "cpu_model": found[0].partition(":")[2].strip() if found else "",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": " ".join(f"{value:.1f}" for value in os.getloadavg()),
    }


def finish(figures: Mapping[str, float | int | str]) -> None:
    """The last line: one flat object, the environment as strings beside the figures."""
    print(json.dumps({**figures, **environment()}))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
