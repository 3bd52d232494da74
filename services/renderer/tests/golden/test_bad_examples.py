"""Every example under examples/bad is refused with exactly what its expected.txt says; the good ones are not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from knarr.pipeline.errors import CATALOGUE
from knarr.pipeline.names import FLEET_SOURCE
from knarr.renderer.adapters.folder import folder_snapshot
from knarr.renderer.core.findings import Severity, as_text
from knarr.renderer.offline import Offline, offline
from knarr.renderer.vet import vet

EXAMPLES = Path(__file__).parents[4] / "examples"
BAD = sorted(p.parent for p in EXAMPLES.glob("bad/*/expected.txt"))
GOOD = sorted(p.parent for p in EXAMPLES.glob("*/fleet.yaml"))


@pytest.fixture
async def renderer(tmp_path: Path) -> AsyncIterator[Offline]:
    async with offline(tmp_path) as value:
        yield value


@pytest.mark.parametrize("folder", BAD, ids=lambda p: p.name)
async def test_a_bad_example_says_exactly_what_is_wrong(folder: Path, renderer: Offline) -> None:
    findings = await vet(renderer, {FLEET_SOURCE: folder_snapshot(folder, FLEET_SOURCE)})
    assert as_text(findings) == (folder / "expected.txt").read_text()
    assert {f.failure.code for f in findings} <= set(CATALOGUE)


@pytest.mark.parametrize("folder", GOOD, ids=lambda p: p.name)
async def test_a_good_example_has_no_error(folder: Path, renderer: Offline) -> None:
    findings = await vet(renderer, {FLEET_SOURCE: folder_snapshot(folder, FLEET_SOURCE)})
    assert [f for f in findings if f.severity is not Severity.NOTE] == []


def test_there_are_enough_bad_examples() -> None:
    assert len(BAD) >= 30
