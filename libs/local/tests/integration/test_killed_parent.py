"""A test run or a `knarr up` that is SIGKILLed: no server stays, and the next start finds the state again."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from knarr.local.kube import KubeFleet
from knarr.local.leftover import identify
from knarr.local.postgres import PostgresServer

pytestmark = [pytest.mark.kube, pytest.mark.timeout(900)]

_PARENT = """
import asyncio, sys
from pathlib import Path
from knarr.local.kube import KubeFleet
from knarr.local.postgres import PostgresServer
async def main():
    folder = Path(sys.argv[1])
    async with PostgresServer(folder, disposable=False) as postgres, KubeFleet(folder, disposable=False) as fleet:
        cluster = await fleet.start_cluster("one", collector=True)
        await cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": "kept"}})
        await postgres.create_database("kept")
        records = (p for p in folder.rglob("*.pid") if p.name != "postmaster.pid")
        print(*(p.read_text() for p in records), sep=";", flush=True)
        await asyncio.sleep(300)
asyncio.run(main())
"""


def _killed_parent(folder: Path) -> list[int]:
    parent = subprocess.Popen([sys.executable, "-c", _PARENT, str(folder)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    records = parent.stdout.readline().split(";")
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    return [int(record.split('"pid": ')[1].split(",")[0]) for record in records]


def _ends(pid: int, *, within_seconds: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_seconds)[0])
    finally:
        os.close(handle)


async def test_every_server_ends_with_its_parent_and_the_state_is_found_again(tmp_path: Path) -> None:
    pids = _killed_parent(tmp_path)
    assert len(pids) == 4
    for pid in pids:
        assert _ends(pid, within_seconds=20), pid
        assert identify(pid) is None

    async with PostgresServer(tmp_path, disposable=False) as postgres, KubeFleet(tmp_path, disposable=False) as fleet:
        connection = await asyncpg.connect(postgres.dsn(database="kept"))
        await connection.close()
        cluster = await fleet.start_cluster("one", collector=True)
        assert (await cluster.request("GET", "/api/v1/namespaces/kept"))[0] == 200
