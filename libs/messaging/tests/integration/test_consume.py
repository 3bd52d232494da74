"""Consuming: every outcome, and what survives a broken message, a lost stream and a restarted broker (I5, I7)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import pytest
from nats.js.errors import NotFoundError

from knarr.messaging.broker import Broker, Outdated
from knarr.messaging.consume import Received, Subscription, consume, consume_batches, newest_of_all
from knarr.messaging.streams import DEAD_LETTERS, REPORTS, ensure_streams
from knarr.pipeline.decision import DeadLetter
from knarr.pipeline.errors import rejected, retryable
from knarr.pipeline.report import ClusterReport
from knarr.testkit.installation import Installation

WHAT = Subscription(
    stream=REPORTS, durable="test", filters=("report.*.cluster",), kinds=(ClusterReport,), service="status"
)


@asynccontextmanager
async def consuming(broker: Broker, handle: Callable[[Received], object]) -> AsyncIterator[None]:
    async def call(message: Received) -> None:
        handle(message)

    task = asyncio.create_task(consume(broker, WHAT, call))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - several conditions, one way to wait
            await asyncio.sleep(0.01)


async def test_a_refused_or_garbled_message_is_a_dead_letter_and_the_rest_goes_on(admin: Broker) -> None:
    handled: list[str] = []

    def handle(message: Received) -> None:
        if message.value.cluster == "bad":
            raise rejected("KNR7001", "refused here")
        handled.append(message.value.cluster)

    await admin.publish_bytes("report.garbled.cluster", b"\xff\xff\xff", headers={"Knarr-Type": "ClusterReport"})
    await admin.publish_bytes("report.packed.cluster", b"no zstd", headers={"Knarr-Encoding": "zstd"})
    await admin.publish("report.bad.cluster", ClusterReport(cluster="bad"))
    await admin.publish("report.good.cluster", ClusterReport(cluster="good"))
    async with consuming(admin, handle):
        await until(lambda: handled == ["good"])
    letters = (await admin.jetstream().stream_info(DEAD_LETTERS)).state.messages
    assert letters == 3
    last = await admin.newest(DEAD_LETTERS, "dead.status", DeadLetter)
    assert last is not None
    assert last.value.failure is not None
    assert (last.value.subject, last.value.failure.code) == ("report.bad.cluster", "KNR7001")


async def test_what_may_pass_is_asked_for_again(admin: Broker) -> None:
    attempts: list[int] = []

    def handle(message: Received) -> None:
        attempts.append(message.deliveries)
        if len(attempts) < 3:
            raise retryable("KNR7013", "not yet")

    await admin.publish("report.a.cluster", ClusterReport(cluster="a"))
    async with consuming(admin, handle):
        await until(lambda: len(attempts) == 3)
    assert attempts == [1, 2, 3]


async def test_a_bug_in_one_message_does_not_stop_the_others(admin: Broker) -> None:
    handled: list[str] = []

    def handle(message: Received) -> None:
        if message.value.cluster == "a":
            raise ZeroDivisionError
        handled.append(message.value.cluster)

    await admin.publish("report.a.cluster", ClusterReport(cluster="a"))
    await admin.publish("report.b.cluster", ClusterReport(cluster="b"))
    async with consuming(admin, handle):
        await until(lambda: handled == ["b"])


async def test_a_stream_deleted_and_made_again_is_consumed_on(admin: Broker) -> None:
    handled: list[str] = []
    async with consuming(admin, lambda m: handled.append(m.value.cluster)):
        await admin.publish("report.a.cluster", ClusterReport(cluster="a"))
        await until(lambda: handled == ["a"])
        await admin.jetstream().delete_stream(REPORTS)
        await ensure_streams(admin.jetstream())
        await admin.publish("report.b.cluster", ClusterReport(cluster="b"))
        await until(lambda: "b" in handled)


async def test_a_restarted_broker_loses_nothing(installation: Installation, admin: Broker) -> None:
    handled: list[str] = []
    async with consuming(admin, lambda m: handled.append(m.value.cluster)):
        await admin.publish("report.a.cluster", ClusterReport(cluster="a"))
        await until(lambda: handled == ["a"])
        await installation.server.restart()
        await admin.wait_connected(20)
        await admin.publish("report.b.cluster", ClusterReport(cluster="b"))
        await until(lambda: handled == ["a", "b"], 30)


async def test_a_batch_with_a_garbled_message_is_handled_without_it(admin: Broker) -> None:
    handled: list[str] = []

    async def handle(messages: list[Received]) -> None:
        handled.extend(m.value.cluster for m in messages)

    for name in ("a", "b", "c"):
        await admin.publish(f"report.{name}.cluster", ClusterReport(cluster=name))
    await admin.publish_bytes("report.b.cluster", b"\xff")
    task = asyncio.create_task(consume_batches(admin, WHAT, handle))
    try:
        await until(lambda: sorted(handled) == ["a", "c"])
    finally:
        task.cancel()


async def test_all_newest_are_read_at_once(admin: Broker) -> None:
    for number in range(30):
        await admin.publish(f"report.c{number % 10}.cluster", ClusterReport(cluster=f"c{number % 10}"))
    found = await newest_of_all(admin, REPORTS, "report.*.cluster", ClusterReport)
    assert sorted(m.value.cluster for m in found) == [f"c{n}" for n in range(10)]
    assert await newest_of_all(admin, REPORTS, "report.none.cluster", ClusterReport) == []


async def test_an_outdated_publish_is_refused(admin: Broker) -> None:
    sequence = await admin.publish("report.a.cluster", ClusterReport(cluster="a"))
    await admin.publish("report.a.cluster", ClusterReport(cluster="a"), expect_last=sequence)
    with pytest.raises(Outdated):
        await admin.publish("report.a.cluster", ClusterReport(cluster="a"), expect_last=sequence)


async def test_a_client_closed_for_good_is_replaced(installation: Installation) -> None:
    async with Broker(installation.settings("c1")) as broker:
        await broker.wait_connected(10)
        await broker.client().close()
        await until(lambda: broker.connected, 20)
        await broker.publish("report.c1.cluster", ClusterReport(cluster="c1"))


async def test_a_handler_whose_task_group_fails_does_not_end_the_consumer(admin: Broker) -> None:
    """Python 3.11 leaves the task marked as cancelled after such a group; the consumer must go on all the same."""
    handled: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    async def handle(message: Received) -> None:
        if message.value.cluster == "a":
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
        handled.append(message.value.cluster)

    await admin.publish("report.a.cluster", ClusterReport(cluster="a"))
    task = asyncio.create_task(consume(admin, WHAT, handle))
    try:
        await until(lambda: admin.connected)
        await admin.publish("report.b.cluster", ClusterReport(cluster="b"))
        await until(lambda: handled == ["b"])
        await admin.publish("report.c.cluster", ClusterReport(cluster="c"))
        await until(lambda: handled == ["b", "c"])
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def eventually(look: Callable[[], Awaitable[object]], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await look():  # noqa: ASYNC110 - several conditions, one way to wait
            await asyncio.sleep(0.01)


@asynccontextmanager
async def consuming_batches(
    broker: Broker, handle: Callable[[list[Received]], Awaitable[None]], what: Subscription = WHAT
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(consume_batches(broker, what, handle))
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_batch_that_fails_is_bisected_and_only_its_poison_is_buried(admin: Broker) -> None:
    """A refused and an unbearable message among honest ones: those are handled and acknowledged, each of them once."""
    handled: list[str] = []
    sizes: list[int] = []

    async def handle(messages: list[Received]) -> None:
        names = [m.value.cluster for m in messages]
        sizes.append(len(names))
        if "refused" in names:
            raise rejected("KNR7001", "refused here")
        if "poison" in names:
            raise ZeroDivisionError
        handled.extend(names)

    honest = [f"c{n}" for n in range(30)]
    for name in (*honest[:11], "refused", *honest[11:20], "poison", *honest[20:]):
        await admin.publish(f"report.{name}.cluster", ClusterReport(cluster=name))
    async with consuming_batches(admin, handle):
        await until(lambda: set(handled) == set(honest), 40.0)

        async def buried() -> bool:
            return bool((await admin.jetstream().stream_info(DEAD_LETTERS)).state.messages == 2)

        await eventually(buried)
        info = await admin.jetstream().consumer_info(REPORTS, WHAT.durable)
        assert (info.num_pending, info.num_ack_pending) == (0, 0)
    assert sorted(handled) == sorted(honest)
    assert sizes.count(1) <= 12  # the poison is tried five times, each time alone
    last = await admin.newest(DEAD_LETTERS, "dead.status", DeadLetter)
    assert last is not None
    assert last.value.failure is not None
    assert (last.value.subject, last.value.failure.code) == ("report.poison.cluster", "KNR7020")


async def test_a_batch_whose_world_is_not_ready_is_asked_for_again_as_a_whole(admin: Broker) -> None:
    attempts: list[list[str]] = []

    async def handle(messages: list[Received]) -> None:
        attempts.append([m.value.cluster for m in messages])
        if len(attempts) == 1:
            raise retryable("KNR5003", "no database")

    for name in ("a", "b", "c"):
        await admin.publish(f"report.{name}.cluster", ClusterReport(cluster=name))
    async with consuming_batches(admin, handle):
        await until(lambda: sorted(n for names in attempts[1:] for n in names) == ["a", "b", "c"])
    assert attempts[0] == ["a", "b", "c"]
    assert (await admin.jetstream().stream_info(DEAD_LETTERS)).state.messages == 0


async def test_a_batch_that_takes_long_is_not_delivered_twice(admin: Broker) -> None:
    """The server is told meanwhile that the work goes on, for every message of the batch."""
    what = replace(WHAT, ack_wait_seconds=1.0)
    seen: list[str] = []
    free = asyncio.Event()

    async def handle(messages: list[Received]) -> None:
        seen.extend(m.value.cluster for m in messages)
        await free.wait()

    for name in ("a", "b"):
        await admin.publish(f"report.{name}.cluster", ClusterReport(cluster=name))
    async with consuming_batches(admin, handle, what):
        await until(lambda: seen == ["a", "b"])
        await asyncio.sleep(2.5)  # longer than the server waits without a word
        info = await admin.jetstream().consumer_info(REPORTS, WHAT.durable)
        assert info.num_redelivered == 0
        free.set()

        async def settled() -> bool:
            return not (await admin.jetstream().consumer_info(REPORTS, WHAT.durable)).num_ack_pending

        await eventually(settled)
    assert seen == ["a", "b"]


async def test_a_batch_that_hangs_has_a_deadline_and_the_others_go_on(admin: Broker) -> None:
    what = replace(WHAT, ack_wait_seconds=0.1)  # and so one second for an attempt
    handled: list[str] = []

    async def handle(messages: list[Received]) -> None:
        names = [m.value.cluster for m in messages]
        if "hangs" in names:
            await asyncio.Event().wait()
        handled.extend(names)

    for name in ("a", "hangs", "b"):
        await admin.publish(f"report.{name}.cluster", ClusterReport(cluster=name))
    async with consuming_batches(admin, handle, what):
        await until(lambda: sorted(set(handled)) == ["a", "b"])
        await eventually(lambda: admin.newest(DEAD_LETTERS, "dead.status", DeadLetter))
    last = await admin.newest(DEAD_LETTERS, "dead.status", DeadLetter)
    assert last is not None
    assert last.value.failure is not None
    assert (last.value.subject, last.value.failure.code) == ("report.hangs.cluster", "KNR7016")


async def test_a_handler_that_loses_a_cancellation_does_not_keep_the_consumer_alive(admin: Broker) -> None:
    """`asyncio.wait_for` of 3.11, through which nats-py and asyncpg wait, can swallow it."""
    began = asyncio.Event()

    async def handle(_messages: list[Received]) -> None:
        began.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    await admin.publish("report.a.cluster", ClusterReport(cluster="a"))
    task = asyncio.create_task(consume_batches(admin, WHAT, handle))
    async with asyncio.timeout(10):
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def past(admin: Broker, sequence: int) -> bool:
    try:
        info = await admin.jetstream().consumer_info(REPORTS, WHAT.durable)
    except NotFoundError:
        return False
    return info.ack_floor is not None and info.ack_floor.stream_seq >= sequence


async def test_a_flood_of_refused_reports_leaves_a_few_dead_letters_and_hides_nobody_elses(admin: Broker) -> None:
    handled: list[str] = []

    async def handle(messages: list[Received]) -> None:
        handled.extend(m.value.cluster for m in messages)

    async with consuming_batches(admin, handle):
        for _ in range(60):
            sent = await admin.publish_bytes("report.flood.cluster", os.urandom(100_000))
            await eventually(partial(past, admin, sent))
        await admin.publish_bytes("report.other.cluster", b"\xff")
        await admin.publish("report.good.cluster", ClusterReport(cluster="good"))
        await until(lambda: handled == ["good"])
    info = (await admin.jetstream().stream_info(DEAD_LETTERS)).state
    assert info.messages == 22  # twenty, one that says so, and the other cluster's
    assert info.bytes < 500_000
    last = await admin.newest(DEAD_LETTERS, "dead.status", DeadLetter)
    assert last is not None
    assert last.value.subject == "report.other.cluster"
