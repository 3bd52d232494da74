"""SSH: runs git-upload-pack and git-receive-pack for one authorised key. Used by `server`."""

from __future__ import annotations

import asyncio
import shlex

import asyncssh

from knarr.local.git.backend import Backend

_CHUNK = 64 * 1024
_SERVICES = {"git-upload-pack": "upload-pack", "git-receive-pack": "receive-pack"}


async def listen(
    backend: Backend, *, port: int, host_key: asyncssh.SSHKey, client_key: asyncssh.SSHKey
) -> asyncssh.SSHAcceptor:
    """Accept connections on loopback from who holds `client_key`."""

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.exit(await _serve(backend, process))

    authorised = asyncssh.import_authorized_keys(client_key.export_public_key().decode())
    return await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[host_key],
        authorized_client_keys=authorised,
        process_factory=serve,
        encoding=None,
        reuse_address=True,
    )


async def _serve(backend: Backend, process: asyncssh.SSHServerProcess[bytes]) -> int:
    words = shlex.split(process.command or "")
    repository = backend.repository(words[1]) if len(words) == 2 and words[0] in _SERVICES else None
    if repository is None:
        process.stderr.write(b"no such repository\n")
        return 128
    protocol = process.env.get("GIT_PROTOCOL", "")
    async with backend.run(_SERVICES[words[0]], str(repository), GIT_PROTOCOL=protocol) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        async with asyncio.TaskGroup() as group:
            feeding = group.create_task(_feed(process, child))
            group.create_task(_pour(child.stderr, process.stderr))
            await _pour(child.stdout, process.stdout)
            feeding.cancel()
        return await child.wait()


async def _feed(process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> None:
    assert child.stdin is not None
    try:
        while chunk := await process.stdin.read(_CHUNK):
            child.stdin.write(chunk)
            await child.stdin.drain()
    except (BrokenPipeError, ConnectionError, asyncssh.Error):
        return
    finally:
        child.stdin.close()


async def _pour(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    try:
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()
    except (ConnectionError, asyncssh.Error):
        # The client is gone; what git still says has nowhere to go.
        return
