"""Real servers as pytest fixtures; a root conftest.py names this module in `pytest_plugins`.

What starts in milliseconds is new for each test and lives in its loop: `nats_server`, `git_server`. What takes seconds
is shared by the session, and a test has its own part of it: `database` in `postgres`, `namespace` in `kube_cluster`
(API server alone) or any name in `kube_controllers_cluster` (pods run). Tests that kill or stop a cluster start their
own `KubeFleet`.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from knarr.local.git import GitServer
from knarr.local.kube import KubeCluster, KubeFleet
from knarr.local.nats import NatsServer
from knarr.local.postgres import PostgresServer
from knarr.testkit.loop_thread import LoopThread

# Kubernetes is built on first use, on a slow machine in a quarter of an hour.
_BUILD_SECONDS = 1800.0
_START_SECONDS = 120.0
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker of tests that need Gitea, to leave them out. No property is judged by the clock."""
    settings.register_profile("knarr", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("knarr")
    config.addinivalue_line("markers", "gitea: needs the real Gitea (make gitea builds it on first use)")


@pytest.fixture(scope="session")
def server_loop() -> Iterator[LoopThread]:
    """The loop that owns the session's servers."""
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """An empty NATS with JetStream and one account, for this test alone."""
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def git_server(tmp_path: Path) -> AsyncIterator[GitServer]:
    """A Git host without repositories, for this test alone."""
    async with GitServer(tmp_path / "git") as server:
        yield server


@pytest.fixture(scope="session")
def postgres(server_loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The session's PostgreSQL."""
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    server_loop.call(server.start(), deadline_seconds=_START_SECONDS)
    yield server
    server_loop.call(server.stop(), deadline_seconds=_START_SECONDS)


@pytest.fixture
def database(postgres: PostgresServer, server_loop: LoopThread) -> Iterator[str]:
    """The DSN of an empty database for this test alone, as the role that owns it."""
    name = f"test_{next(_numbers)}"
    yield server_loop.call(postgres.create_database(name, owner="tester"), deadline_seconds=_START_SECONDS)
    server_loop.call(postgres.drop_database(name), deadline_seconds=_START_SECONDS)


@pytest.fixture(scope="session")
def kube_fleet(server_loop: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeFleet]:
    """The session's etcd for clusters; more of them by `server_loop.call(kube_fleet.start_cluster(...))`."""
    fleet = KubeFleet(tmp_path_factory.mktemp("kube"))
    server_loop.call(fleet.__aenter__(), deadline_seconds=_BUILD_SECONDS)
    yield fleet
    server_loop.call(fleet.__aexit__(None, None, None), deadline_seconds=_START_SECONDS)


@pytest.fixture(scope="session")
def kube_cluster(kube_fleet: KubeFleet, server_loop: LoopThread) -> KubeCluster:
    """The session's bare API server: objects are stored, nothing acts on them."""
    return server_loop.call(kube_fleet.start_cluster("bare"), deadline_seconds=_START_SECONDS)


@pytest.fixture(scope="session")
def kube_controllers_cluster(kube_fleet: KubeFleet, server_loop: LoopThread) -> KubeCluster:
    """The session's whole cluster: Deployments roll out, Jobs complete, what is owned is collected."""
    return server_loop.call(kube_fleet.start_cluster("whole", controllers=True), deadline_seconds=_BUILD_SECONDS)


@pytest.fixture
def namespace(kube_cluster: KubeCluster, server_loop: LoopThread) -> str:
    """The name of a namespace of `kube_cluster` for this test alone."""
    name = f"test-{next(_numbers)}"
    making = kube_cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    server_loop.call(making, deadline_seconds=_START_SECONDS)
    return name
