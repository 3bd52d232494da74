"""A person's machine: a kubeconfig with several contexts, a fleet repository, and `knarr up` on them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Tests are no package; what they share is imported by its place in the repository, which is also what mypy calls it.
sys.path.append(str(Path(__file__).parents[2]))

from cli.tests.person import Person
from knarr.local.kube import KubeCluster, KubeFleet
from knarr.testkit.loop_thread import LoopThread


@pytest.fixture(scope="session")
def two_clusters(kube_fleet: KubeFleet, server_loop: LoopThread) -> list[KubeCluster]:
    """Two API servers whose namespaces can be deleted."""
    return server_loop.call(kube_fleet.start_clusters("one", "two", collector=True), deadline_seconds=1800.0)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Somebody with an empty state folder and a fleet of one app."""
    return Person.at(tmp_path)
