"""The chart, real helm, and a whole real cluster to install it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tests.person import Person
from knarr.local.kube import KubeCluster, KubeFleet
from knarr.local.tools import helm_command
from knarr.testkit.loop_thread import LoopThread
from tests.charts.chart import Helm

_BUILD_SECONDS = 1800.0


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Real helm, built on first use."""
    return Helm(argv=helm_command(build=True).argv, home=tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def cluster(kube_fleet: KubeFleet, server_loop: LoopThread) -> KubeCluster:
    """A cluster for the charts alone, with all that makes pods run."""
    return server_loop.call(kube_fleet.start_cluster("charts", controllers=True), deadline_seconds=_BUILD_SECONDS)


@pytest.fixture
def person(tmp_path: Path) -> Person:
    """Somebody with a fleet of one app."""
    return Person.at(tmp_path)
