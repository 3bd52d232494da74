"""The agent's `Store` port in memory, and the suite that every store of the agent passes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from knarr.agent.ports import Store

_CHUNKY = bytes(range(256)) * 6_000  # past every limit of one Secret


@dataclass(slots=True)
class MemoryStore:
    """The `Store` port. `values` outlives it: another one over the same values is a restart."""

    values: dict[str, bytes] = field(default_factory=dict)

    async def load(self, prefix: str) -> Mapping[str, bytes]:
        """See the port."""
        return {key: value for key, value in self.values.items() if key.startswith(prefix)}

    async def read(self, key: str) -> bytes | None:
        """See the port."""
        return self.values.get(key)

    async def save(self, changes: Mapping[str, bytes | None]) -> None:
        """See the port."""
        for key, value in changes.items():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value


class StoreConformance:
    """Subclass it with a `store` fixture and `again`."""

    async def again(self, store: Store) -> Store:
        """What a restart sees: another store over what this one wrote. The first is not used any more."""
        raise NotImplementedError

    async def test_a_fresh_store_is_empty(self, store: Store) -> None:
        assert await store.load("") == {}
        assert await store.load("app.") == {}
        assert await store.read("pin") is None

    async def test_what_was_saved_is_there_also_after_a_restart(self, store: Store) -> None:
        saved = {"pin": b"1", "app.shop": b"\0\xff" * 50, "app.a-1": b"", "bundle.00ff": b"x" * 40_000}
        await store.save(saved)
        assert await store.load("") == saved
        restarted = await self.again(store)
        assert {key: await restarted.read(key) for key in saved} == saved
        assert await restarted.load("") == saved

    async def test_a_prefix_selects(self, store: Store) -> None:
        await store.save({"app.a": b"1", "app.b": b"2", "application": b"3", "bundle.app.": b"4"})
        assert await store.load("app.") == {"app.a": b"1", "app.b": b"2"}
        assert await store.load("nothing") == {}

    async def test_later_replaces_earlier_and_none_removes(self, store: Store) -> None:
        await store.save({"a": b"1", "b": b"1", "c": b"1"})
        await store.save({"a": b"2", "b": None, "never-there": None})
        assert await store.load("") == {"a": b"2", "c": b"1"}
        assert await store.read("b") is None
        restarted = await self.again(store)
        assert await restarted.load("") == {"a": b"2", "c": b"1"}
        await restarted.save({"b": b"3"})
        assert await restarted.read("b") == b"3"

    async def test_twice_equals_once_and_nothing_changes_nothing(self, store: Store) -> None:
        for _ in range(2):
            await store.save({"a": b"1", "big": _CHUNKY, "gone": None})
        await store.save({})
        assert await (await self.again(store)).load("") == {"a": b"1", "big": _CHUNKY}

    async def test_a_value_larger_than_a_secret(self, store: Store) -> None:
        await store.save({"big": _CHUNKY, "small": b"1"})
        assert await store.read("big") == _CHUNKY
        other = _CHUNKY[::-1]
        await store.save({"big": other})
        restarted = await self.again(store)
        assert await restarted.read("big") == other
        await restarted.save({"big": b"small now"})
        assert await restarted.load("") == {"big": b"small now", "small": b"1"}
        await restarted.save({"big": None})
        assert await restarted.load("") == {"small": b"1"}

    async def test_a_value_may_look_like_the_store_s_own_notes(self, store: Store) -> None:
        saved = {"a": b"chunks:0123456789abcdef01234567:2", "b": b'12\n["a",null]\n', "c": b"\n"}
        await store.save(saved)
        assert await (await self.again(store)).load("") == saved

    async def test_many_small_values(self, store: Store) -> None:
        saved = {f"app.n{i}": bytes([i % 256]) * 900 for i in range(400)}
        await store.save(saved)
        await store.save({f"app.n{i}": None for i in range(0, 400, 2)})
        left = {key: value for key, value in saved.items() if int(key.removeprefix("app.n")) % 2}
        assert await store.load("app.") == left
        assert await (await self.again(store)).load("app.") == left

    async def test_reading_goes_on_while_something_is_saved(self, store: Store) -> None:
        await store.save({"a": b"1", "big": _CHUNKY})
        found = await asyncio.gather(
            store.read("a"), store.save({"b": b"2"}), store.read("big"), store.save({"a": b"2"}), store.read("never")
        )
        assert found[0] in (b"1", b"2")
        assert list(found)[2:] == [_CHUNKY, None, None]
        assert await store.load("") == {"a": b"2", "b": b"2", "big": _CHUNKY}
