"""The fixtures that other tests stand on: apart from each other, and usable from any test's loop."""

from __future__ import annotations

import asyncpg
import nats
import pytest

from knarr.local.git import GitServer
from knarr.local.kube import KubeCluster
from knarr.local.nats import NatsServer
from knarr.local.postgres import PostgresServer


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_an_empty_database_of_its_own(turn: int, database: str) -> None:
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    await connection.execute("CREATE TABLE mine (turn int)")
    await connection.close()


async def test_a_sessions_server_may_be_restarted_from_a_tests_loop(postgres: PostgresServer, database: str) -> None:
    await postgres.restart()
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_an_empty_nats_of_its_own(turn: int, nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    assert await client.jetstream().streams_info() == []
    await client.jetstream().add_stream(name="MINE", subjects=["mine"])
    await client.close()


async def test_each_test_has_a_git_host_of_its_own(git_server: GitServer) -> None:
    assert git_server.create("fleet").branches() == {}


@pytest.mark.kube
@pytest.mark.timeout(1800)
async def test_a_namespace_in_the_bare_cluster(kube_cluster: KubeCluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert (await kube_cluster.request("POST", path, {"metadata": {"name": "mine"}}))[0] == 201


@pytest.mark.kube
@pytest.mark.timeout(1800)
async def test_the_whole_cluster_has_a_node_and_survives_its_api_server(kube_controllers_cluster: KubeCluster) -> None:
    cluster = kube_controllers_cluster
    await cluster.restart_api_server()
    await cluster.admin.until("/api/v1/nodes", lambda found: len(found["items"]) == 1)
