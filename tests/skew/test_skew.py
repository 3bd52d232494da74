"""One version apart: agents of the version before with this hub, and the other way round.

The version before is taken from the repository's history and runs as processes of its own.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from tests.house import House, Plan, app_files, config_map, fleet_files, house

BEFORE = "1bb6874c4e98591f4b7b89f30c8333c498cc11b7"
ROOT = Path(__file__).resolve().parents[2]
MAPS = {f"m{n}": "first" for n in range(6)}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python whose Knarr is the version before."""
    folder = tmp_path_factory.mktemp("before")
    archive = subprocess.run(
        ["git", "archive", BEFORE, "libs", "services"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    paths = [*sorted(str(p) for p in folder.glob("*/*/src")), sysconfig.get_path("purelib")]
    (packages / "before.pth").write_text("\n".join(paths) + "\n")
    python = str(folder / "venv/bin/python")
    subprocess.run([python, "-c", "import knarr.agent.host, knarr.rollout.ledger"], check=True)  # it is that version
    return python


async def change_agents(made: House, python: str) -> None:
    """The agents go on as another version."""
    part = made.part("agents-simulated")
    await part.stop()
    command = part.process.command
    part.process.command = replace(command, argv=(python, *command.argv[1:]))
    await part.start()


async def a_day_in_the_fleet(made: House) -> None:
    """A new app, a change, an object that goes, another that comes, drift."""
    await made.pushed(app_files("shop", MAPS))
    await made.everywhere("shop", "m1", "first")
    await made.pushed({"apps/shop/m1.yaml": config_map("m1", "second"), "apps/shop/m0.yaml": None})
    await made.everywhere("shop", "m1", "second")
    for cluster in made.plan.clusters:
        assert "m0" not in made.names(cluster, "shop")
    made.edit("dev", "shop", "m2", "a hand")
    await made.everywhere("shop", "m2", "first")
    await made.at_rest()


async def test_agents_of_the_version_before_work_with_this_hub(tmp_path: Path, before: str) -> None:
    async with house(tmp_path, Plan(files=fleet_files(), heartbeat_seconds=1.0)) as made:
        await change_agents(made, before)
        await a_day_in_the_fleet(made)
        sha = await made.push({f"apps/shop/m{n}.yaml": None for n in range(1, 5)})
        await made.commit_in(sha, ("held",))
        assert made.names("dev", "shop") == {f"m{n}" for n in range(1, 6)}


async def test_agents_of_this_version_work_with_the_hub_before(
    tmp_path: Path, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = sys.executable
    monkeypatch.setattr(sys, "executable", before)
    async with house(tmp_path, Plan(files=fleet_files(), heartbeat_seconds=1.0)) as made:
        await change_agents(made, this)
        await a_day_in_the_fleet(made)
