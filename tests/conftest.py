"""Makes the house importable, and offers one that a lane shares and one for a test alone."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

# Tests are no package; what they share is imported by its place in the repository, which is also what mypy calls it.
sys.path.append(str(Path(__file__).parents[1]))

from tests.house import House, house


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """The lane's house: a test keeps to apps of its own, and leaves everything running and healthy."""
    async with house(tmp_path_factory.mktemp("shared")) as made:
        yield made
