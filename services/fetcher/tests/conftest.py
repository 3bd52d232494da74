"""Makes the harness importable, and offers it as a fixture."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knarr.local.git import GitServer
from knarr.local.nats import NatsServer

# Tests are no package; the harness is imported by its place in the repository, which is also what mypy calls it.
sys.path.append(str(Path(__file__).parents[3]))

from services.fetcher.tests.fetcher_harness import FetcherHarness


@pytest.fixture
async def fetcher(nats_server: NatsServer, git_server: GitServer, tmp_path: Path) -> AsyncIterator[FetcherHarness]:
    """A fetcher that is not started yet, a broker with streams, and an empty repository `fleet`."""
    async with FetcherHarness(nats_server, git_server, tmp_path) as harness:
        yield harness
