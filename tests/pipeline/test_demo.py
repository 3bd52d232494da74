"""`knarr demo --once` and `knarr up` as people run them: the story comes true, and nothing is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from knarr.cli.api import Api
from knarr.local.git import GitRepository
from tests.house import app_files, fleet_files, until

KNARR = (str(Path(sys.prefix) / "bin" / "knarr"),)
_DEMO_SECONDS = 110.0


def processes_of(folder: Path) -> list[str]:
    """Command lines and working folders of processes that have to do with the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
        except OSError:
            continue
        if int(entry.name) != os.getpid() and str(folder).encode() in told:
            found.append(f"{entry.name} {told.partition(b'KNARR')[0][:200]!r}")
    return found


def _private(tmp_path: Path) -> dict[str, str]:
    """A home, a temporary folder and a working folder that hold nothing, to see what is left in them."""
    for name in ("home", "tmp", "cwd"):
        (tmp_path / name).mkdir()
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "VIRTUAL_ENV")}
    # What was built once (kustomize) lies in the user's cache and is found there.
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return {**kept, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": cache}


def _left_outside(tmp_path: Path) -> list[str]:
    return sorted(str(p) for name in ("home", "tmp", "cwd") for p in (tmp_path / name).rglob("*"))


async def test_the_story_comes_true_and_leaves_nothing_behind(tmp_path: Path) -> None:
    state = tmp_path / "state"
    child = await asyncio.create_subprocess_exec(
        *KNARR, "demo", "--once", "--state", str(state),
        cwd=str(tmp_path), env=_private(tmp_path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(child.communicate(), _DEMO_SECONDS)
    told = output.decode()
    assert child.returncode == 0, told
    assert "nothing was deleted in any of 12 clusters" in told
    assert processes_of(state) == []
    assert _left_outside(tmp_path) == []
    assert not (state / "running.json").exists()


@asynccontextmanager
async def _up(tmp_path: Path, fleet: Path, environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    state = tmp_path / "state"
    child = await asyncio.create_subprocess_exec(
        *KNARR, "up", "--fleet", str(fleet), "--simulate", "2", "--state", str(state), "--poll", "1",
        cwd=str(tmp_path / "cwd"), env=environment, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def _api(state: Path, child: asyncio.subprocess.Process) -> Api:
    async def announced() -> Api | None:
        assert child.returncode is None
        file = state / "running.json"
        return Api(base=json.loads(file.read_text())["api"]) if file.exists() else None

    return await until("knarr up announcing itself", announced, 60.0)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=lambda sign: str(sign.name))
async def test_up_takes_a_folder_of_git_and_leaves_no_process_when_it_is_stopped(
    tmp_path: Path, sign: signal.Signals
) -> None:
    repository = GitRepository.create(tmp_path / "fleet.git")
    sha = repository.commit({**fleet_files(("dev", "prod-1")), **app_files("shop", {"a": "one"})})
    environment, state = _private(tmp_path), tmp_path / "state"
    async with _up(tmp_path, repository.path, environment) as child:
        api = await _api(state, child)

        async def healthy() -> bool:
            items = (await asyncio.to_thread(lambda: api.get("commits", sha=sha)))["items"]
            return bool(items and items[0]["state"] == "healthy")

        await until("the commit being healthy", healthy, 60.0)
        child.send_signal(sign)
        assert await asyncio.wait_for(child.wait(), 30.0) == 0
    assert processes_of(state) == []
    assert _left_outside(tmp_path) == []


async def test_up_that_is_killed_leaves_no_process_either(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "fleet.git")
    repository.commit(fleet_files(("dev", "prod-1")))
    environment, state = _private(tmp_path), tmp_path / "state"
    async with _up(tmp_path, repository.path, environment) as child:
        await _api(state, child)
        child.kill()
        await child.wait()

        async def gone() -> bool:
            return processes_of(state) == []

        await until("every process ending", gone, 30.0, lambda: processes_of(state))
