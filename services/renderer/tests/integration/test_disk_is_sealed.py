"""Nothing that the renderer keeps on the disk between runs is legible, and what somebody puts there does not count."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knarr.bundle.disk import DiskSeal
from knarr.bundle.sealing import MasterKey
from knarr.local.nats import NatsServer
from knarr.pipeline.errors import Retryable
from knarr.renderer.adapters.cache import FolderCache
from knarr.renderer.adapters.contents import ContentStore
from services.renderer.tests.hub import FLEET, Hub, cluster, config_map, hub

CANARY = "canary-in-the-repository"
KEY, OTHER = MasterKey(b"k" * 32), MasterKey(b"o" * 32)


@pytest.fixture
async def running(nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Hub]:
    async with hub(nats_server, tmp_path / "state") as value:
        yield value


async def test_after_a_commit_no_file_of_the_state_folder_holds_its_text(running: Hub, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "fleet.yaml": FLEET,
        "clusters/c1.yaml": cluster("c1"),
        "plain/a.yaml": config_map("a", CANARY),
        "built/kustomization.yaml": "resources: [b.yaml]\n",
        "built/b.yaml": config_map("b", CANARY) + "# " + "x" * 100_000,
        "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        "web/values.yaml": f"secret: {CANARY}\n",
        "web/templates/a.yaml": config_map("c", "{{ .Values.secret }}"),
    }
    rendered = await running.closed(await running.commit(files))
    assert [a.failure_code for a in rendered.apps] == [""] * 3
    kept = [p for p in (tmp_path / "state").rglob("*") if p.is_file()]
    assert len(kept) > 10
    for path in kept:
        assert CANARY.encode() not in path.read_bytes(), path


def test_contents_open_with_their_key_and_under_their_name_only(tmp_path: Path) -> None:
    one, two = b"\1" * 20, b"\2" * 20
    store = ContentStore(tmp_path, DiskSeal(KEY, "contents"))
    store.write(one, b"first")
    assert ContentStore(tmp_path, DiskSeal(KEY, "contents")).read(one) == b"first"
    (tmp_path / two.hex()).write_bytes((tmp_path / one.hex()).read_bytes())
    for wrong, name in (
        (DiskSeal(KEY, "contents"), two),
        (DiskSeal(OTHER, "contents"), one),
        (DiskSeal(KEY, "x"), one),
    ):
        again = ContentStore(tmp_path, wrong)
        with pytest.raises(Retryable):
            again.read(name)
        assert not again.has(name)
        assert again.losses == 1


def test_what_somebody_puts_into_the_cache_does_not_count(tmp_path: Path) -> None:
    FolderCache(tmp_path, DiskSeal(KEY, "cache")).put(b"key", b"value")
    assert FolderCache(tmp_path, DiskSeal(KEY, "cache")).get(b"key") == b"value"
    assert FolderCache(tmp_path, DiskSeal(OTHER, "cache")).get(b"key") is None
    (tmp_path / b"other".hex()).write_bytes((tmp_path / b"key".hex()).read_bytes())
    assert FolderCache(tmp_path, DiskSeal(KEY, "cache")).get(b"other") is None
