"""Remembers which process a server is, so that a later start can stop what a killed parent left behind.

A pid alone is not enough, the kernel gives it out again: the record holds the start time too, and a process is only
touched when both agree. Called by `process`; says nothing about why a process runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRecord:
    """One process for as long as it lives: its pid, and when it started in the kernel's own words."""

    pid: int
    started: str


def identify(pid: int) -> ProcessRecord | None:
    """The process that has `pid` now, or None when there is none (a zombie counts as none)."""
    started = _start_time(pid)
    return None if started is None else ProcessRecord(pid=pid, started=started)


def write_record(path: Path, record: ProcessRecord) -> None:
    """Write `record` whole or not at all."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({"pid": record.pid, "started": record.started}))
    draft.replace(path)


def read_record(path: Path) -> ProcessRecord | None:
    """The record at `path`; None when there is none or it cannot be read."""
    try:
        raw = json.loads(path.read_text())
        return ProcessRecord(pid=int(raw["pid"]), started=str(raw["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_alive(record: ProcessRecord) -> bool:
    """Whether that very process, not a later one with its pid, still runs."""
    return identify(record.pid) == record


def stop_leftover(path: Path, *, polite: signal.Signals, grace_seconds: float = 5.0) -> bool:
    """Stop the process recorded at `path` if it is still that process; True when there was one. Blocks until gone."""
    record = read_record(path)
    if record is None or not is_alive(record):
        path.unlink(missing_ok=True)
        return False
    for sign, seconds in ((polite, grace_seconds), (signal.SIGKILL, grace_seconds)):
        _send(record, sign)
        if _gone(record, seconds):
            break
    path.unlink(missing_ok=True)
    return True


def _send(record: ProcessRecord, sign: signal.Signals) -> None:
    try:
        os.kill(record.pid, sign)
    except ProcessLookupError:
        return


def _gone(record: ProcessRecord, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _start_time(pid: int) -> str | None:
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        return _start_time_from_ps(pid)
    try:
        # The command's name may hold anything, brackets too: the fields start after the last bracket.
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in {"Z", "X"} else f"{_boot_id()}:{fields[19]}"


def _boot_id() -> str:
    # Start times count from the machine's start, so they are only unique together with it.
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _start_time_from_ps(pid: int) -> str | None:
    answer = subprocess.run(["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
