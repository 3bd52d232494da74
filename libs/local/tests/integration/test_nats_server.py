"""The real nats-server: its state outlives a restart and a kill, and nobody's server is taken over by mistake."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import nats
import pytest

from knarr.local.leftover import identify, read_record
from knarr.local.nats import NatsServer
from knarr.pipeline.errors import KnarrError


async def _store(server: NatsServer, text: bytes) -> None:
    client = await nats.connect(server.url)
    stream = client.jetstream()
    await stream.add_stream(name="KEPT", subjects=["kept"])
    await stream.publish("kept", text)
    await client.close()


async def _stored(server: NatsServer) -> object:
    client = await nats.connect(server.url)
    message = await client.jetstream().get_last_msg("KEPT", "kept")
    await client.close()
    return message.data


async def test_a_restart_keeps_port_and_streams(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        await _store(server, b"one")
        port = server.port
        await server.restart()
        assert server.port == port
        assert await _stored(server) == b"one"


async def test_a_kill_keeps_the_streams(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        await _store(server, b"one")
        await server.kill()
        await server.start()
        assert await _stored(server) == b"one"


async def test_stop_leaves_no_process_and_may_be_called_twice(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    await server.start()
    pid = server.process.pid
    assert pid is not None
    await server.stop()
    await server.stop()
    assert identify(pid) is None
    assert read_record(tmp_path / "nats.pid") is None


async def test_a_second_owner_of_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        with pytest.raises(KnarrError, match="KNR6112"):
            await NatsServer(tmp_path).start()
        assert server.process.running


async def test_a_server_that_ends_at_once_says_why(tmp_path: Path) -> None:
    with pytest.raises(KnarrError, match="KNR6110") as refused:
        await NatsServer(tmp_path, accounts="no_such_setting: [").start()
    assert "nats.log" in refused.value.message


async def test_accounts_change_without_dropping_who_is_connected(tmp_path: Path) -> None:
    def users(*names: str) -> str:
        listed = ", ".join(f'{{user: "{name}", password: "pw"}}' for name in names)
        return f"authorization {{ users: [{listed}] }}"

    async with NatsServer(tmp_path, accounts=users("first")) as server:
        first = await nats.connect(server.url, user="first", password="pw")
        server.reload(users("first", "second"))
        async with asyncio.timeout(10):
            while not await _may_connect(server, "second"):
                pass
        assert first.is_connected
        await first.close()


async def _may_connect(server: NatsServer, user: str) -> bool:
    async def ignore(_: Exception) -> None:
        """The refusal is what this asks about."""

    try:
        client = await nats.connect(
            server.url, user=user, password="pw", allow_reconnect=False, connect_timeout=2, error_cb=ignore
        )
    except (nats.errors.Error, OSError):
        return False
    await client.close()
    return True


_PARENT = """
import asyncio, os, sys
from pathlib import Path
from knarr.local.nats import NatsServer
async def main():
    server = NatsServer(Path(sys.argv[1]))
    await server.start()
    print(server.process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def _killed_parent(folder: Path, **environment: str) -> int:
    """Start a server in another process, SIGKILL that process, and return the server's pid."""
    command = [sys.executable, "-c", _PARENT, str(folder)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    return pid


async def test_the_child_dies_with_a_killed_parent(tmp_path: Path) -> None:
    pid = _killed_parent(tmp_path)
    assert _ends(pid, within_seconds=10)


async def test_what_a_killed_parent_left_is_stopped_by_the_next_start(tmp_path: Path) -> None:
    # A PATH without setpriv: the kernel then does not tie the server to its parent, as on other systems.
    pid = _killed_parent(tmp_path, PATH="")
    assert identify(pid) is not None

    async with NatsServer(tmp_path) as server:
        assert identify(pid) is None
        assert server.process.pid != pid


def _ends(pid: int, *, within_seconds: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_seconds)[0])
    finally:
        os.close(handle)


def _bystander() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


async def test_a_recorded_pid_that_now_belongs_to_another_process_is_left_alone(tmp_path: Path) -> None:
    bystander = _bystander()
    try:
        (tmp_path / "nats.pid").write_text(f'{{"pid": {bystander.pid}, "started": "another time"}}')
        async with NatsServer(tmp_path):
            assert bystander.poll() is None
    finally:
        bystander.send_signal(signal.SIGKILL)
        bystander.wait(10)
