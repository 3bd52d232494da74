"""The sandbox on this kernel: what is refused, what is bounded, and that the service outlives it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from knarr.pipeline.errors import Rejected, Retryable
from knarr.renderer.adapters.sandbox.box import Run, Sandbox, unconfined_because
from knarr.renderer.core.limits import Limits

PROBE = "knarr.renderer.adapters.sandbox.probe"
SMALL = Limits(seconds=3.0, memory_bytes=200 << 20, output_bytes=1 << 20)
Boxes = Callable[[Limits], AbstractAsyncContextManager[Sandbox]]


@pytest.fixture
def boxes(tmp_path: Path) -> Boxes:
    @asynccontextmanager
    async def make(limits: Limits) -> AsyncIterator[Sandbox]:
        async with Sandbox(tmp_path / "work", limits) as box:
            yield box

    return make


def attempt(what: str, folder: Path) -> Run:
    return Run(root=folder, folder=folder, module=PROBE, options={"attempt": what}, environment={"ONLY": "this"})


def test_this_host_can_confine() -> None:
    assert unconfined_because() == ""


async def test_the_sandbox_refuses_everything_that_the_probe_tries(boxes: Boxes) -> None:
    async with boxes(Limits()) as box:
        assert await box.holds() == ()


async def test_without_confinement_the_probe_succeeds_so_it_proves_something(tmp_path: Path) -> None:
    async with Sandbox(tmp_path / "work", Limits(), confined=False) as box:
        assert {"read a file of the system", "open an internet socket", "run a shell"} <= set(await box.holds())


async def test_a_child_sees_only_the_environment_that_it_is_given(boxes: Boxes, tmp_path: Path) -> None:
    os.environ["KNARR_CANARY"] = "secret"
    async with boxes(Limits()) as box:
        ended = await box.run(attempt("environment", tmp_path))
    assert json.loads(ended.output) == {"ONLY": "this"}


@pytest.mark.parametrize(("what", "code"), [("time", "KNR2402"), ("memory", "KNR2403"), ("output", "KNR2404")])
async def test_time_memory_and_output_are_bounded(what: str, code: str, boxes: Boxes, tmp_path: Path) -> None:
    async with boxes(SMALL) as box:
        with pytest.raises(Rejected) as caught:
            await box.run(attempt(what, tmp_path))
        assert caught.value.code == code
        assert (await box.run(attempt("environment", tmp_path))).code == 0


async def test_what_a_child_leaves_behind_is_ended_with_it(boxes: Boxes, tmp_path: Path) -> None:
    async with boxes(SMALL) as box:
        assert (await box.run(attempt("children", tmp_path))).code == 0
        launcher = box.process_id
        async with asyncio.timeout(5):
            while _children(launcher):  # noqa: ASYNC110 - the kernel sends no event for it
                await asyncio.sleep(0.02)


async def test_a_killed_launcher_is_started_again(boxes: Boxes, tmp_path: Path) -> None:
    async with boxes(SMALL) as box:
        await box.run(attempt("environment", tmp_path))
        os.kill(box.process_id, 9)
        async with asyncio.timeout(10):
            while not await _runs(box, tmp_path):  # noqa: ASYNC110
                await asyncio.sleep(0.02)


async def _runs(box: Sandbox, folder: Path) -> bool:
    try:
        return (await box.run(attempt("environment", folder))).code == 0
    except Retryable as error:
        return error.code != "KNR2409"


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
