"""What an agent is born with: its keys, whom it obeys, and what it remembers from before a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson
from nacl.public import PrivateKey
from nacl.signing import SigningKey

from knarr.agent.core.receive import Pinned
from knarr.agent.intent import Intent, intent_of
from knarr.agent.ports import Store
from knarr.agent.receive import open_assignment
from knarr.agent.records import APP_PREFIX, ASSIGNMENT_KEY, KEYS_KEY, PIN_KEY, Record, record_from_bytes
from knarr.pipeline.errors import rejected
from knarr.pipeline.names import AppName


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to obey: the epoch, and the Ed25519 keys that sign for it."""

    epoch: str
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What is fixed at the first start (epoch, UID) and only ever grows (generation, start number)."""

    epoch: str
    cluster_uid: str
    generation: int = 0
    generation_applied: int = 0
    start_number: int = 0

    def to_bytes(self) -> bytes:
        """For the store."""
        return orjson.dumps({name: getattr(self, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that the store held, checked."""

    pin: Pin
    sealing: PrivateKey = field(repr=False)
    signing: SigningKey = field(repr=False)
    records: dict[AppName, Record]
    intent: Intent


async def remember(store: Store, trust: Trust, *, cluster: str, cluster_uid: str, adopt: bool) -> Memory:
    """Reads the store and pins the epoch. KNR4006 for another epoch unless `adopt`; KNR4008 for what cannot be read."""
    basic = {key: await store.read(key) for key in (PIN_KEY, KEYS_KEY, ASSIGNMENT_KEY)}
    pin = _pin(basic[PIN_KEY], trust, cluster_uid, adopt=adopt)
    sealing, signing, new_keys = _keys(basic[KEYS_KEY])
    records = {r.app: r for r in map(record_from_bytes, (await store.load(APP_PREFIX)).values())}
    intent = Intent()
    if (data := basic[ASSIGNMENT_KEY]) is not None and pin.generation:
        intent = _last_good(data, trust, pin, cluster, sealing)
    await store.save({PIN_KEY: pin.to_bytes(), **({KEYS_KEY: new_keys} if new_keys else {})})
    return Memory(pin=pin, sealing=sealing, signing=signing, records=records, intent=intent)


def _pin(stored: bytes | None, trust: Trust, uid: str, *, adopt: bool) -> Pin:
    if stored is None:
        return Pin(epoch=trust.epoch, cluster_uid=uid, start_number=1)
    try:
        pin = Pin(**orjson.loads(stored))
    except (TypeError, ValueError) as error:
        raise rejected("KNR4008", "the pinned epoch cannot be read") from error
    if pin.epoch == trust.epoch:
        return replace(pin, start_number=pin.start_number + 1, cluster_uid=uid)
    if not adopt:
        raise rejected("KNR4006", f"the state here is of epoch {pin.epoch[:12]!r}, the hub's is {trust.epoch[:12]!r}")
    return Pin(epoch=trust.epoch, cluster_uid=uid, start_number=pin.start_number + 1)


def _keys(stored: bytes | None) -> tuple[PrivateKey, SigningKey, bytes | None]:
    if stored is None:
        sealing, signing = PrivateKey.generate(), SigningKey.generate()
        fresh = orjson.dumps({"sealing": bytes(sealing).hex(), "signing": bytes(signing).hex()})
        return sealing, signing, fresh
    try:
        found: Mapping[str, str] = orjson.loads(stored)
        return PrivateKey(bytes.fromhex(found["sealing"])), SigningKey(bytes.fromhex(found["signing"])), None
    except (KeyError, TypeError, ValueError) as error:
        raise rejected("KNR4008", "the agent's keys cannot be read") from error


def _last_good(data: bytes, trust: Trust, pin: Pin, cluster: str, sealing: PrivateKey) -> Intent:
    before = Pinned(cluster=cluster, cluster_uid=pin.cluster_uid, epoch=pin.epoch, generation=pin.generation - 1)
    opened = open_assignment(data, trusted=trust.keys, private=sealing, pinned=before)
    return intent_of(opened.header, opened.body) if opened is not None else Intent()
