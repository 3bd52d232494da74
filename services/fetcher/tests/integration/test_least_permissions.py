"""The fetcher's own NATS user, with just its grants, suffices for all that it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from knarr.local.git import GitServer
from knarr.messaging.streams import SNAPSHOTS
from knarr.pipeline.snapshot import SnapshotStored
from knarr.testkit.installation import Installation
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness


async def test_with_its_own_user(
    installation: Installation, git_server: GitServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    admin, seed = installation.settings("admin"), installation.seeds["fetcher"]
    async with FetcherHarness(installation.server, git_server, tmp_path, admin, seed) as fetcher:
        await fetcher.committed({"fleet.yaml": FLEET})
        last = await fetcher.committed({"big": bytes(range(256)) * 10_000, "a": "1"})
        assert (await fetcher.report("")).reachable
        await fetcher.remake(SNAPSHOTS)

        async def whole() -> SnapshotStored | None:
            found = await fetcher.newest()
            return found if found and await fetcher.is_readable(found) else None

        assert (await fetcher.until(whole, "stored again")).commit == last.commit
        await fetcher.stop()
    assert "permissions violation" not in "".join(capfd.readouterr()).lower()
