"""The agent's image holds what the agent needs, and its build knows every part of it. No container is built here."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "deploy" / "images" / "agent" / "Dockerfile").read_text()


def _members(name: str) -> set[str]:
    """The workspace members that one needs, itself among them."""
    folder = next(f for f in (ROOT / "services" / name, ROOT / "libs" / name) if f.is_dir())
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    found = {folder.relative_to(ROOT).as_posix()}
    for dependency in project["dependencies"]:
        if dependency.startswith("knarr-"):
            found |= _members(dependency.removeprefix("knarr-"))
    return found


def test_it_copies_and_builds_exactly_the_agents_members() -> None:
    wanted = _members("agent")
    assert set(re.findall(r"^COPY (?:libs|services)/\S+ (\S+)$", DOCKERFILE, re.M)) == wanted
    (built,) = re.findall(r"for member in ([^;]+);", DOCKERFILE)
    assert set(built.split()) == wanted


def test_it_runs_as_nobody_in_particular() -> None:
    stages = DOCKERFILE.split("\nFROM ")
    assert re.findall(r"^USER (\S+)$", stages[-1], re.M) == ["65532:65532"]
    assert "--require-hashes" in stages[1]
    assert "--constraint requirements.lock" in stages[1]
