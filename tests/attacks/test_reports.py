"""What the holder of one cluster's credential sends to the broker, against a whole installation of real processes.

Each attack is followed by a commit that every other cluster must have soon, with rollout and status still small. What
lying reports do to rollout's decisions is in test_one_cluster.py.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import zstandard

from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.envelope import ENCODING_HEADER, TYPE_HEADER, to_wire
from knarr.pipeline.codec import encode
from knarr.pipeline.report import AppReport, AppState, ClusterReport
from tests.house import House, Plan, app_files, config_map, fleet_files, house, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
OTHERS = ("prod-1", "prod-2")
APP = "attacked"
# Far above what both need (some 110 MB), far below what a bomb cost (1.2 to 1.6 GB).
MOST_MEMORY_MB = 350
APPS, CLUSTER = {TYPE_HEADER: "AppReport"}, {TYPE_HEADER: "ClusterReport"}
WEB = AppReport(app=APP, state=AppState.HEALTHY, digest=bytes(32), generation=1)
BEAT = ClusterReport(cluster_uid="somebody", agent_version="0")
_numbers = itertools.count(1)
# With a connection and the name of the cluster whose credential it has.
Attack = Callable[[Broker, str], Awaitable[None]]


@asynccontextmanager
async def credential(target: House, cluster: str) -> AsyncIterator[Broker]:
    """A connection with a cluster's own credential, as its agent has it."""
    seed = target.session.hub.identity.cluster_seed_file(cluster).read_text()
    settings = BrokerSettings(
        urls=(target.session.hub.nats.url,), name="attacker", nkey_seed=seed, inbox_prefix=f"_INBOX_{cluster}"
    )
    async with Broker(settings) as broker:
        await broker.wait_connected(10)
        yield broker


async def flood(broker: Broker, messages: list[tuple[str, bytes, dict[str, str]]]) -> None:
    """As fast as it goes, without waiting for an answer."""
    for subject, payload, headers in messages:
        await broker.client().publish(subject, payload, headers=headers)
    await broker.client().flush(30)


def zstd(plain: bytes) -> tuple[bytes, dict[str, str]]:
    return zstandard.ZstdCompressor(level=19).compress(plain), {**APPS, ENCODING_HEADER: "zstd"}


async def bombs(broker: Broker, me: str) -> None:
    """746 bytes each, 3.9 million empty sub-messages unfolded."""
    payload, headers = zstd(b"\x3a\x00" * 3_900_000)
    await flood(broker, [(f"report.{me}.app.{APP}", payload, headers)] * 20)


async def small_bombs(broker: Broker, me: str) -> None:
    """Within the bytes that a report may unfold to: 130,000 empty sub-messages each, on many subjects."""
    payload, headers = zstd(b"\x3a\x00" * 130_000)
    await flood(broker, [(f"report.{me}.app.bomb-{n}", payload, headers) for n in range(200)])


async def costly(broker: Broker, me: str) -> None:
    """Some bytes each, as many elements as a report may have, on 4,000 subjects: minutes of opening."""
    apps = [f"costly-{n}" for n in range(4_000)]
    made = [zstd(encode(replace(WEB, cluster=me, app=app)) + b"\x3a\x00" * 8_000) for app in apps]
    await flood(broker, [(f"report.{me}.app.{app}", payload, h) for app, (payload, h) in zip(apps, made, strict=True)])


async def garbage(broker: Broker, me: str) -> None:
    """300 × 100 KB that nothing compresses, on as many subjects."""
    await flood(broker, [(f"report.{me}.app.g{n}", os.urandom(100_000), APPS) for n in range(300)])


async def invented_apps(broker: Broker, me: str) -> None:
    """20,000 apps that there are not, all of them failed."""
    report = replace(WEB, cluster=me, state=AppState.FAILED, message="it burns")
    made = [(f"invented-{n}", to_wire(replace(report, app=f"invented-{n}"))) for n in range(20_000)]
    await flood(broker, [(f"report.{me}.app.{app}", payload, headers) for app, (payload, headers) in made])


async def impossible_numbers(broker: Broker, me: str) -> None:
    """Generations without room above them, negative sizes, times before time, NUL in a UID."""
    clusters = [
        replace(BEAT, cluster=me, generation_seen=2**63 - 2),
        replace(BEAT, cluster=me, generation_seen=2**63 - 1, generation_applied=-1),
        replace(BEAT, cluster=me, cluster_uid="uid\0"),
        replace(BEAT, cluster=me, app_count=-(2**31), reported_at_ms=-(2**63)),
    ]
    apps = [
        replace(WEB, cluster=me, generation=2**63 - 1),
        replace(WEB, cluster=me, object_count=-1),
        replace(WEB, cluster=me, since_ms=-(2**63), message="\0"),
        replace(WEB, cluster=me, digest=b"short"),
    ]
    sent = [(f"report.{me}.cluster", *to_wire(c)) for c in clusters]
    sent += [(f"report.{me}.app.{APP}", *to_wire(a)) for a in apps]
    for subject, payload, headers in sent * 3:
        await broker.publish_bytes(subject, payload, headers=headers)


async def somebody_else(broker: Broker, me: str) -> None:
    """In another cluster's name, on his own subjects."""
    for cluster in OTHERS:
        await broker.publish(f"report.{me}.cluster", replace(BEAT, cluster=cluster, generation_seen=2**40))
        await broker.publish(f"report.{me}.app.{APP}", replace(WEB, cluster=cluster, state=AppState.REMOVED))


async def broken_wire(broker: Broker, me: str) -> None:
    """Subjects and headers that are no text, and stored messages that pose as the server's own word."""
    transport = broker.client()._transport
    subject = f"report.{me}.app.".encode()
    transport.write(b"PUB " + subject + b"\xff\xfe 2\r\nhi\r\n")
    for headers in (b"NATS/1.0 503\r\n\r\n", b"NATS/1.0 404 \xff\r\n\r\n", b"NATS/1.0\r\n\xff: \xff\r\n\r\n"):
        sizes = b" %d %d\r\n" % (len(headers), len(headers) + 2)
        transport.write(b"HPUB " + subject + b"w%d" % next(_numbers) + sizes + headers + b"hi\r\n")
    await broker.client().flush(10)


ATTACKS: tuple[tuple[Attack, str], ...] = (
    (bombs, "KNR7005"),
    (small_bombs, "KNR7015"),
    (costly, "KNR7017"),
    (garbage, "KNR7001"),
    (impossible_numbers, "KNR7014"),
    (somebody_else, "KNR5002"),
    (broken_wire, "KNR7001"),
    (invented_apps, "KNR5051"),
)


def _name(attack: Attack) -> str:
    """Each attack comes from a cluster of its own."""
    return attack.__name__.replace("_", "-")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def target(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One installation for all attacks, each of which leaves it working for everybody else."""
    clusters = (*OTHERS, *(_name(attack) for attack, _ in ATTACKS))
    plan = Plan(clusters=clusters, files=fleet_files(clusters))
    async with house(tmp_path_factory.mktemp("attacked"), plan) as made:
        await made.pushed(app_files(APP, {"a": "0"}))
        yield made


@pytest.mark.parametrize(("attack", "code"), ATTACKS, ids=[a.__name__ for a, _ in ATTACKS])
async def test_what_one_cluster_sends_is_its_own_trouble(target: House, attack: Attack, code: str) -> None:
    """Others get their commit and are shown healthy; the attacker has an event; nothing of it stays in REPORTS."""
    attacker = _name(attack)
    async with credential(target, attacker) as broker:
        await attack(broker, attacker)
    value = str(next(_numbers))
    await target.push({f"apps/{APP}/a.yaml": config_map("a", value)})

    async def others_have_it() -> bool:
        placed = [await target.placement(c, APP) for c in OTHERS]
        seen[:] = [(target.value(c, APP, "a"), p and p["standing"]) for c, p in zip(OTHERS, placed, strict=True)]
        return seen == [(value, "healthy")] * len(OTHERS)

    seen: list[tuple[str | None, object]] = []
    await until("the others' commit", others_have_it, 60.0, lambda: seen)

    async def told() -> bool:
        events = (await target.ask("events", cluster=attacker, limit="200"))["items"]
        codes[:] = [e["code"] for e in events]
        return code in codes

    codes: list[str] = []
    await until(f"{attacker}'s event {code}", told, 60.0, lambda: codes)

    async def swept() -> bool:
        left[:] = sorted(await target.subjects("REPORTS"))
        return all(s.endswith((".cluster", ".plan", f".app.{APP}")) for s in left)

    left: list[str] = []
    await until("invented subjects being purged", swept, 90.0, lambda: (len(left), left[:5]))
    assert [a["app"] for a in (await target.ask("summary"))["apps"]] == [APP]
    assert (await target.broker.jetstream().stream_info("DEAD_LETTERS")).state.bytes < 5_000_000
    for name in ("rollout", "status"):
        assert memory_mb(target, name) < MOST_MEMORY_MB, name


async def test_after_all_of_it_the_attackers_own_clusters_work_again(target: House) -> None:
    """The harm was its own, and it ends with the attack, or some minute after it."""
    sha = await target.push({f"apps/{APP}/b.yaml": config_map("b", "after")})
    await target.everywhere(APP, "b", "after", 60.0)
    await target.commit_in(sha, seconds=150.0)


def memory_mb(target: House, name: str) -> int:
    """The most that the process has ever had resident."""
    pid = target.part(name).process.pid
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    raise AssertionError(f"{name} has no memory")
