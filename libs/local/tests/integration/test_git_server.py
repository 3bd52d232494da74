"""The real Git host, asked by the git program and by libgit2: clone, push, tokens, keys, and a wrong host key."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pygit2
import pytest

from knarr.local.git import Executable, GitRepository, GitServer, Link


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[GitServer]:
    async with GitServer(tmp_path / "host") as started:
        yield started


async def _git(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {"PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.test", *arguments],
            cwd=cwd,
            env={**settings, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return await asyncio.to_thread(run)


def _ssh_command(server: GitServer, folder: Path) -> str:
    known_hosts = folder / "known_hosts"
    if not known_hosts.exists():
        known_hosts.write_text(server.known_hosts)
    return (
        f"ssh -i {server.client_key_file} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -F none"
        f" -o UserKnownHostsFile={known_hosts}"
    )


async def test_clone_and_push_over_http(server: GitServer, tmp_path: Path) -> None:
    repository = server.create("fleet")
    repository.commit({"fleet.yaml": "a: 1\n", "apps/web/x.yaml": "b: 2\n"})

    assert (await _git("clone", server.http_url("fleet"), "work", cwd=tmp_path)).returncode == 0
    work = tmp_path / "work"
    assert (work / "apps/web/x.yaml").read_text() == "b: 2\n"
    (work / "big.bin").write_bytes(os.urandom(3_000_000))
    assert (await _git("add", ".", cwd=work)).returncode == 0
    assert (await _git("commit", "-m", "big", cwd=work)).returncode == 0
    pushed = await _git("push", "origin", "main", cwd=work)
    assert pushed.returncode == 0, pushed.stderr
    assert len(repository.files(repository.head())["big.bin"]) == 3_000_000


async def test_every_git_is_reaped_by_its_watcher(
    server: GitServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.create("fleet").commit({"fleet.yaml": "a: 1\n"})

    for _ in range(60):
        assert (await _git("ls-remote", server.http_url("fleet"), cwd=tmp_path)).returncode == 0

    assert not [record.getMessage() for record in caplog.records if record.name == "asyncio"]


async def test_clone_and_push_over_ssh(server: GitServer, tmp_path: Path) -> None:
    repository = server.create("fleet")
    repository.commit({"fleet.yaml": "a: 1\n"})
    ssh = _ssh_command(server, tmp_path)

    cloned = await _git("clone", server.ssh_url("fleet"), "work", cwd=tmp_path, GIT_SSH_COMMAND=ssh)
    assert cloned.returncode == 0, cloned.stderr
    work = tmp_path / "work"
    await _git("commit", "--allow-empty", "-m", "more", cwd=work)
    pushed = await _git("push", "origin", "main", cwd=work, GIT_SSH_COMMAND=ssh)
    assert pushed.returncode == 0, pushed.stderr
    head = await _git("rev-parse", "HEAD", cwd=work)
    assert repository.head() == head.stdout.strip()


async def test_another_host_key_is_seen_by_the_client(server: GitServer, tmp_path: Path) -> None:
    server.create("fleet").commit({"fleet.yaml": ""})
    ssh = _ssh_command(server, tmp_path)
    await server.change_host_key()

    refused = await _git("ls-remote", server.ssh_url("fleet"), cwd=tmp_path, GIT_SSH_COMMAND=ssh)
    assert refused.returncode != 0
    assert "host key" in refused.stderr.lower()


async def test_a_client_without_the_key_or_a_path_outside_is_refused(server: GitServer, tmp_path: Path) -> None:
    server.create("fleet").commit({"fleet.yaml": ""})
    ssh = _ssh_command(server, tmp_path)
    stranger = ssh.replace(str(server.client_key_file), str(tmp_path / "missing"))
    for command, url in ((stranger, server.ssh_url("fleet")), (ssh, server.ssh_url("../keys"))):
        refused = await _git("ls-remote", url, cwd=tmp_path, GIT_SSH_COMMAND=command)
        assert refused.returncode != 0


async def test_libgit2_reads_over_both(server: GitServer, tmp_path: Path) -> None:
    commit = server.create("fleet").commit({"fleet.yaml": "a: 1\n"})
    public = server.client_key_file.with_suffix(".pub")

    class Callbacks(pygit2.RemoteCallbacks):
        def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:
            return True

        def credentials(self, url: str, username: str | None, allowed: object) -> pygit2.Keypair:
            return pygit2.Keypair("git", str(public), str(server.client_key_file), "")

    def heads(url: str) -> set[str]:
        mirror = pygit2.init_repository(str(tmp_path / "mirror"), bare=True)
        return {str(head.oid) for head in mirror.remotes.create_anonymous(url).list_heads(callbacks=Callbacks())}

    assert await asyncio.to_thread(heads, server.http_url("fleet")) == {commit}
    assert await asyncio.to_thread(heads, server.ssh_url("fleet")) == {commit}


async def test_a_token_is_asked_for(server: GitServer, tmp_path: Path) -> None:
    server.create("fleet").commit({"fleet.yaml": ""})
    server.http.token = "s3cret"
    url = server.http_url("fleet")

    assert (await _git("ls-remote", url, cwd=tmp_path)).returncode != 0
    assert (await _git("ls-remote", url.replace("//", "//git:wrong@"), cwd=tmp_path)).returncode != 0
    assert (await _git("ls-remote", url.replace("//", "//git:s3cret@"), cwd=tmp_path)).returncode == 0


async def test_a_host_that_is_down_says_so_and_comes_back(server: GitServer, tmp_path: Path) -> None:
    server.create("fleet").commit({"fleet.yaml": ""})
    server.http.refuse_with = 503
    assert "503" in (await _git("ls-remote", server.http_url("fleet"), cwd=tmp_path)).stderr
    server.http.refuse_with = None
    await server.stop()
    assert (await _git("ls-remote", server.http_url("fleet"), cwd=tmp_path)).returncode != 0
    await server.start()
    assert (await _git("ls-remote", server.http_url("fleet"), cwd=tmp_path)).returncode == 0


def test_the_author_writes_deletes_branches_tags_and_forces(tmp_path: Path) -> None:
    repository = GitRepository.create(tmp_path / "r.git")
    first = repository.commit({"a": "1", "link": Link("a"), "run": Executable("#!/bin/sh\n")})
    second = repository.commit({"a": None, "b/c": b"\x00"})

    assert repository.files(first) == {"a": b"1", "link": b"a", "run": b"#!/bin/sh\n"}
    assert set(repository.files(second)) == {"b/c", "link", "run"}
    repository.branch("next", first)
    repository.tag("v1", first)
    repository.tag("v1", second, message="moved and annotated")
    forced = repository.commit({"a": "2"}, parent=first)
    assert repository.head() == forced
    assert repository.branches() == {"main": forced, "next": first}
    repository.delete_branch("next")
    repository.delete_tag("v1")
    assert repository.branches() == {"main": forced}


def test_the_same_calls_make_the_same_commits(tmp_path: Path) -> None:
    ids = set()
    for name in ("one.git", "two.git"):
        repository = GitRepository.create(tmp_path / name)
        repository.commit({"a": "1"})
        ids.add(repository.commit({"b": "2"}))
    assert len(ids) == 1


def _children_called_git() -> list[str]:
    listed = "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    return [pid for pid in listed.split() if Path(f"/proc/{pid}/comm").read_text().strip() == "git"]


async def test_a_client_that_hangs_up_in_the_middle_leaves_no_git_behind(server: GitServer, tmp_path: Path) -> None:
    repository = server.create("big")
    repository.commit({"big.bin": os.urandom(20_000_000)})

    def hang_up() -> None:
        command = ["git", "clone", "--quiet", server.http_url("big"), str(tmp_path / "work")]
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not server.http.requests[1:]:
            os.sched_yield()
        child.kill()
        child.wait(10)

    await asyncio.to_thread(hang_up)
    await server.stop()
    assert _children_called_git() == []
    await server.start()
    assert (await _git("ls-remote", server.http_url("big"), cwd=tmp_path)).returncode == 0
