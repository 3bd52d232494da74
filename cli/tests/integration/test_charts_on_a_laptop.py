"""`knarr vet`, `render` and `diff` of apps whose charts lie in repositories."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.fetcher.tests.chart_servers import HelmServer, chart, served

KNARR = str(Path(sys.executable).parent / "knarr")
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: web}}\ndata: {{v: '{}'}}\n"


@pytest.fixture
async def helm() -> AsyncIterator[HelmServer]:
    server = HelmServer(charts={("web", "1.0.0"): chart("web", "1.0.0", {"templates/a.yaml": MAP.format("one")})})
    async with served(server):
        yield server


@pytest.fixture
def fleet(tmp_path: Path, helm: HelmServer) -> Path:
    folder = tmp_path / "fleet"
    write(folder / "fleet.yaml", "apiVersion: knarr.dev/v1\nkind: Fleet\n")
    write(folder / "clusters/one.yaml", "apiVersion: knarr.dev/v1\nkind: Cluster\nname: one\n")
    write(folder / "web/knarr.yaml", app(helm.url, "^1"))
    git(folder, "init", "-q")
    commit(folder)
    return folder


def app(repository: str, version: str) -> str:
    named = f"{{repository: '{repository}', name: web, version: '{version}'}}"
    return f"apiVersion: knarr.dev/v1\nkind: App\nnamespace: web\nhelm: {{chart: {named}}}\n"


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], cwd=folder, check=True)


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")


async def knarr(folder: Path, *words: str) -> tuple[int, str, str]:
    """(exit code, output, errors)."""
    process = await asyncio.create_subprocess_exec(
        KNARR,
        *words,
        cwd=folder,
        env={"KNARR_ALLOW_PLAIN_HTTP": "true", "HOME": str(folder.parent), "PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), errors.decode()


async def test_without_leave_no_repository_is_asked(fleet: Path, helm: HelmServer) -> None:
    code, out, _ = await knarr(fleet, "vet")
    assert (code, "note KNR2410" in out) == (0, True)
    code, _, errors = await knarr(fleet, "diff", "HEAD")
    assert (code, "KNR2410" in errors) == (1, True)
    assert helm.requests == []


async def test_with_leave_charts_are_checked_and_rendered(fleet: Path, helm: HelmServer) -> None:
    code, out, errors = await knarr(fleet, "vet", "--fetch-charts")
    assert (code, out, errors) == (0, "1 app: 0 errors, 0 warnings, all well\n", "")
    code, out, _ = await knarr(fleet, "render", "web", "--cluster", "one", "--fetch-charts", "-o", "yaml")
    assert code == 0
    assert "v: one" in out
    helm.refuse_with = 503
    code, out, _ = await knarr(fleet, "vet", "--fetch-charts", "-o", "json")
    assert code == 1
    assert [f["code"] for f in json.loads(out)] == ["KNR1050"], "nothing but JSON is printed"


async def test_a_range_does_not_move_between_the_two_sides_of_a_diff(fleet: Path, helm: HelmServer) -> None:
    write(fleet / "README.md", "words")
    commit(fleet)
    code, out, _ = await knarr(fleet, "diff", "HEAD~1", "HEAD", "--fetch-charts")
    assert (code, "web" in out) == (0, False)
    helm.charts["web", "2.0.0"] = chart("web", "2.0.0", {"templates/a.yaml": MAP.format("two")})
    write(fleet / "web/knarr.yaml", app(helm.url, "^2"))
    code, out, _ = await knarr(fleet, "diff", "HEAD", "--fetch-charts")
    assert code == 0
    assert "two" in out


async def test_a_diff_speaks_of_what_did_not_render_before(fleet: Path) -> None:
    (fleet / "web/knarr.yaml").unlink()
    code, out, errors = await knarr(fleet, "diff", "HEAD", "--fail-on-deletion")
    assert (code, out) == (1, "Nothing changes in any cluster.\n")
    assert "HEAD: web/knarr.yaml:1: KNR2410" in errors
    code, out, _ = await knarr(fleet, "diff", "HEAD", "--fail-on-deletion", "--fetch-charts")
    assert (code, "WOULD BE DELETED" in out) == (3, True)


async def test_a_bundle_of_certificates_that_is_not_there_is_named(fleet: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        KNARR,
        "vet",
        "--fetch-charts",
        cwd=fleet,
        env={"KNARR_CA_BUNDLE": "/nowhere.pem", "HOME": str(fleet), "PATH": ""},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert "KNR6001" in errors.decode()
    assert "/nowhere.pem" in errors.decode()
