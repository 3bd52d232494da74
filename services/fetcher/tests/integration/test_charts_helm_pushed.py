"""Charts that the real helm packaged and pushed to a real OCI registry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knarr.local.build import binary
from knarr.local.registry import RegistryServer
from knarr.pipeline.chart_lock import lock_from_bytes
from services.fetcher.tests.fetcher_harness import FLEET, FetcherHarness


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[RegistryServer]:
    async with RegistryServer(tmp_path / "registry") as server:
        yield server


async def helm(*words: str, cwd: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(binary("helm")), *words, cwd=cwd, env={"HOME": str(cwd), "PATH": ""}
    )
    assert await process.wait() == 0, words


async def pushed(registry: RegistryServer, folder: Path, version: str) -> None:
    """`helm create web`, packaged and pushed under a version."""
    await helm("package", "web", "--version", version, cwd=folder)
    await helm("push", f"web-{version}.tgz", f"oci://{registry.address}/team", "--plain-http", cwd=folder)


async def test_charts_come_as_helm_pushed_them(
    fetcher: FetcherHarness, registry: RegistryServer, tmp_path: Path
) -> None:
    await helm("create", "web", cwd=tmp_path)
    for version in ("1.0.0", "1.1.0", "1.2.0+build.7", "2.0.0-rc.1"):
        await pushed(registry, tmp_path, version)
    repository = f"oci://{registry.address}/team"
    sha = fetcher.fleet.commit(
        {
            "fleet.yaml": FLEET,
            "web/knarr.yaml": "apiVersion: knarr.dev/v1\nkind: App\n"
            f"helm: {{chart: {{repository: '{repository}', name: web, version: ^1}}}}\n",
            "parent/Chart.yaml": "apiVersion: v2\nname: parent\nversion: 0.1.0\n"
            f"dependencies: [{{name: web, version: ~1.0, repository: '{repository}'}}]\n",
            "none/knarr.yaml": "apiVersion: knarr.dev/v1\nkind: App\n"
            f"helm: {{chart: {{repository: '{repository}', name: nothing, version: ^1}}}}\n",
        }
    )
    fetcher.start(KNARR_ALLOW_PLAIN_HTTP="true")
    snapshot = await fetcher.commit(sha)
    lock = lock_from_bytes(snapshot.lock)
    pinned = {path: c for path, reference in lock.uses if (c := lock.chart(reference)) is not None}
    assert {path: (c.version, c.code) for path, c in pinned.items()} == {
        "web/knarr.yaml": ("1.2.0+build.7", ""),
        "parent/Chart.yaml": ("1.0.0", ""),
        "none/knarr.yaml": ("", "KNR1052"),
    }
    files = await fetcher.files(snapshot)
    folder = pinned["web/knarr.yaml"].folder
    made = {
        p.relative_to(tmp_path / "web").as_posix(): p.read_bytes() for p in (tmp_path / "web").rglob("*") if p.is_file()
    }
    came = {path.removeprefix(f"{folder}/"): data for path, data in files.items() if path.startswith(f"{folder}/")}
    assert came.pop("Chart.yaml").count(b"version: 1.2.0+build.7") == 1
    made.pop("Chart.yaml")
    made.pop(".helmignore", None)
    came.pop(".helmignore", None)
    assert came == made
