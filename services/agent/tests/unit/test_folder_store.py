"""The simulated cluster's store: what was saved is there again, also after a kill in the middle of a write."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from knarr.agent.adapters.simulated.store import FolderStore

KEYS = st.sampled_from(["app.a", "app.b", "bundle.1", "pin"])
SAVES = st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=40), max_size=3), max_size=8)


def after(saves: list[dict[str, bytes | None]]) -> dict[str, bytes]:
    values: dict[str, bytes] = {}
    for changes in saves:
        for key, value in changes.items():
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
    return values


async def write(folder: Path, saves: list[dict[str, bytes | None]]) -> None:
    with closing(FolderStore(folder)) as store:
        for changes in saves:
            await store.save(changes)


async def everything(folder: Path) -> dict[str, bytes]:
    with closing(FolderStore(folder)) as store:
        return dict(await store.load(""))


@settings(deadline=None)
@given(SAVES, SAVES)
def test_what_was_saved_is_loaded_again(
    first: list[dict[str, bytes | None]], then: list[dict[str, bytes | None]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(write(Path(folder), first))
        asyncio.run(write(Path(folder), then))
        assert asyncio.run(everything(Path(folder))) == after([*first, *then])


@settings(deadline=None)
@given(SAVES, st.dictionaries(KEYS, st.binary(min_size=1, max_size=40), min_size=1), st.integers(min_value=1))
def test_a_kill_in_the_middle_loses_that_call_whole(
    saves: list[dict[str, bytes | None]], last: dict[str, bytes | None], cut: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(write(Path(folder), saves))
        journal = Path(folder) / "state.journal"
        before = asyncio.run(append(Path(folder), last))
        written = journal.read_bytes()
        journal.write_bytes(written[: before + cut % (len(written) - before)])
        assert asyncio.run(everything(Path(folder))) == after(saves)


async def append(folder: Path, changes: dict[str, bytes | None]) -> int:
    """The journal's size before the call."""
    with closing(FolderStore(folder)) as store:
        await store.load("")
        before = (folder / "state.journal").stat().st_size
        await store.save(changes)
    return before


def test_old_records_do_not_pile_up(tmp_path: Path) -> None:
    asyncio.run(write(tmp_path, [{"pin": bytes(1000)}] * 500))
    assert (tmp_path / "state.journal").stat().st_size < 80_000
