"""One process as others see it: health, exit codes, numbered errors, a clean end on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from knarr.service.health import health_server

SERVICE = """
import asyncio, sys
from knarr.pipeline.errors import rejected
from knarr.service.process import run_service

async def main():
    if sys.argv[1] == "refuse":
        raise rejected("KNR6001", "settings are wrong: A is not set")
    if sys.argv[1] == "both":
        async with asyncio.TaskGroup() as tasks:
            for name in "AB":
                tasks.create_task(fail(name))
    print("running", flush=True)
    await asyncio.sleep(60)

async def fail(name):
    await asyncio.sleep(0)
    raise rejected("KNR6001", f"{name} is wrong")

sys.exit(run_service("test", main))
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    file = tmp_path / "service.py"
    file.write_text(SERVICE)
    return [sys.executable, str(file)]


@pytest.mark.parametrize("way", ["refuse", "both"])
def test_a_numbered_error_ends_the_process_with_its_next_step(program: list[str], way: str) -> None:
    ended = subprocess.run([*program, way], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "KNR6001" in ended.stderr
    assert "next:" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(program: list[str], number: signal.Signals) -> None:
    with subprocess.Popen([*program, "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "running\n"
        os.kill(process.pid, number)
        assert process.wait(timeout=30) == 0
        events = [json.loads(line)["event"] for line in process.stderr.read().splitlines()]
    assert events == ["service started", "service stopped"]


async def test_health_says_who_is_not_ready() -> None:
    state = {"broker": ""}
    async with (
        health_server("127.0.0.1:0", {"broker": lambda: state["broker"]}) as port,
        aiohttp.ClientSession() as ask,
    ):
        base = f"http://127.0.0.1:{port}"
        assert (await ask.get(f"{base}/healthz")).status == 200
        assert (await ask.get(f"{base}/readyz")).status == 200
        state["broker"] = "not connected"
        answer = await ask.get(f"{base}/readyz")
        assert (answer.status, await answer.text()) == (503, "broker: not connected\n")
        assert (await ask.get(f"{base}/healthz")).status == 200
        assert "python_info" in await (await ask.get(f"{base}/metrics")).text()
