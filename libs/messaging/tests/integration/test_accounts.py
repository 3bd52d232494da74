"""What an agent may do, and every attempt of an agent that must fail (docs/adr/0002-accounts.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import nats.errors
import nats.js.errors
import pytest
from nats.aio.msg import Msg

from knarr.messaging.broker import Broker
from knarr.messaging.permissions import User, accounts_config
from knarr.messaging.streams import ASSIGNMENTS, BLOBS, REPORTS
from knarr.pipeline.errors import Rejected, Retryable
from knarr.pipeline.report import ClusterReport
from knarr.testkit.installation import Installation

ONE = b"assignment of c1"
TWO = b"assignment of c2"


@pytest.fixture
async def c1(installation: Installation, admin: Broker) -> AsyncIterator[Broker]:
    """Agent c1, with both clusters' assignments and a blob in place."""
    await admin.publish_bytes("assignment.c1", ONE)
    await admin.publish_bytes("assignment.c2", TWO)
    await admin.publish_bytes("blob.aa", b"sealed")
    await admin.publish_bytes("blob.bb.0", b"sealed chunk")
    async with Broker(installation.settings("c1")) as broker:
        await broker.wait_connected(10)
        yield broker


async def counts(admin: Broker) -> dict[str, int]:
    """How many messages each stream that matters to an agent holds."""
    names = (ASSIGNMENTS, BLOBS, REPORTS)
    infos = [await admin.jetstream().stream_info(name) for name in names]
    return {name: info.state.messages for name, info in zip(names, infos, strict=True)}


async def test_an_agent_reads_its_assignment_and_blobs_and_reports(c1: Broker, admin: Broker) -> None:
    found = await c1.newest_bytes(ASSIGNMENTS, "assignment.c1")
    assert found is not None
    assert found.value == ONE
    assert (await c1.newest_bytes(BLOBS, "blob.aa")) is not None
    assert (await c1.newest_bytes(BLOBS, "blob.bb.0")) is not None
    assert await c1.newest_bytes(BLOBS, "blob.cc") is None
    await c1.publish("report.c1.cluster", ClusterReport(cluster="c1"))
    stored = await admin.newest(REPORTS, "report.c1.cluster", ClusterReport)
    assert stored is not None
    assert stored.value.cluster == "c1"


async def test_a_hint_names_its_stream_subject_and_sequence(c1: Broker, admin: Broker) -> None:
    hints: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def note(message: Msg) -> None:
        hints.put_nowait(dict(message.headers))

    await c1.subscribe("hint.c1", note)
    await c1.client().flush(timeout=2)
    sequence = await admin.publish_bytes("assignment.c1", b"newer")
    headers = await asyncio.wait_for(hints.get(), 5)
    assert (headers["Nats-Stream"], headers["Nats-Subject"]) == (ASSIGNMENTS, "assignment.c1")
    assert int(headers["Nats-Sequence"]) == sequence


@pytest.mark.parametrize(
    "subject",
    [
        "$JS.API.DIRECT.GET.ASSIGNMENTS.assignment.c2",
        "$JS.API.DIRECT.GET.ASSIGNMENTS.assignment.*",
        "$JS.API.DIRECT.GET.ASSIGNMENTS.>",
        "$JS.API.DIRECT.GET.ASSIGNMENTS",
        "$JS.API.STREAM.MSG.GET.ASSIGNMENTS",
        "$JS.API.STREAM.INFO.ASSIGNMENTS",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.INFO",
        "$JS.API.CONSUMER.CREATE.ASSIGNMENTS",
        "$JS.API.CONSUMER.CREATE.ASSIGNMENTS.mine",
        "$JS.API.CONSUMER.DURABLE.CREATE.ASSIGNMENTS.mine",
        "$JS.API.CONSUMER.MSG.NEXT.REPORTS.status",
        "$JS.API.STREAM.SNAPSHOT.ASSIGNMENTS",
        "$JS.API.STREAM.CREATE.MIRROR",
        "$JS.API.STREAM.PURGE.ASSIGNMENTS",
        "$JS.API.STREAM.DELETE.ASSIGNMENTS",
        "$SYS.REQ.SERVER.PING",
        "assignment.c1",
        "assignment.c2",
        "report.c2.cluster",
        "hint.c2",
        "snapshot.aa",
        "command.approve",
    ],
)
async def test_a_request_beyond_its_subjects_gets_no_answer(c1: Broker, admin: Broker, subject: str) -> None:
    before = await counts(admin)
    with pytest.raises((nats.errors.TimeoutError, nats.errors.NoRespondersError)):
        await c1.client().request(subject, b"{}", timeout=0.3)
    assert await counts(admin) == before


@pytest.mark.parametrize(
    "subject",
    ["assignment.*", "hint.c2", "hint.>", ">", "*", "_INBOX.>", "_INBOX_c2.>", "*.c2", "$JS.>", "report.>"],
)
async def test_a_subscription_beyond_its_subjects_hears_nothing(c1: Broker, admin: Broker, subject: str) -> None:
    heard: list[str] = []

    async def note(message: Msg) -> None:
        heard.append(message.subject)

    await c1.client().subscribe(subject, cb=note)
    await c1.client().flush(timeout=2)
    await admin.publish_bytes("assignment.c2", TWO)
    await admin.publish_bytes("report.c2.cluster", b"x")
    # The agent's own round trip comes after both, on the same connection.
    await c1.newest_bytes(ASSIGNMENTS, "assignment.c1")
    assert [s for s in heard if not s.startswith("_INBOX_c1")] == []


@pytest.mark.parametrize("payload", [b'{"last_by_subj":"assignment.c2"}', b'{"seq":2}', b'{"next_by_subj":">"}'])
async def test_a_payload_does_not_redirect_a_direct_get(c1: Broker, payload: bytes) -> None:
    answer = await c1.client().request("$JS.API.DIRECT.GET.ASSIGNMENTS.assignment.c1", payload, timeout=1)
    assert answer.data != TWO


@pytest.mark.parametrize(
    ("subject", "reply"),
    [
        ("$JS.API.DIRECT.GET.ASSIGNMENTS.assignment.c1", "assignment.c2"),
        ("report.c1.cluster", "report.c2.cluster"),
        ("report.c1.cluster", "$JS.API.STREAM.PURGE.ASSIGNMENTS"),
        ("report.c1.cluster", "$JS.API.STREAM.DELETE.ASSIGNMENTS"),
        ("report.c1.cluster", "$JS.API.STREAM.PURGE.REPORTS"),
    ],
)
async def test_a_chosen_reply_subject_changes_nothing_in_control(
    c1: Broker, admin: Broker, subject: str, reply: str
) -> None:
    await c1.publish("report.c1.cluster", ClusterReport(cluster="c1"))
    before = await counts(admin)
    await c1.client().publish(subject, b"" if "DIRECT" in subject else b"x", reply=reply)
    await c1.client().flush(timeout=2)
    await c1.newest_bytes(ASSIGNMENTS, "assignment.c1")
    assert await counts(admin) == before
    two = await admin.newest_bytes(ASSIGNMENTS, "assignment.c2")
    assert two is not None
    assert two.value == TWO
    assert await admin.newest_bytes(REPORTS, "report.c2.cluster") is None


@pytest.mark.parametrize("name", ["*", ">", "a.b", "", "A", "-a", "a" * 64, "a*"])
def test_a_cluster_name_that_is_no_dns_label_is_never_minted(name: str) -> None:
    user = User(name=name, public_nkey="U")
    with pytest.raises(Rejected, match="KNR7002"):
        accounts_config(admin=User(name="admin", public_nkey="U"), services=[], clusters=[user])


async def test_a_wildcard_blob_key_returns_only_sealed_bytes(c1: Broker) -> None:
    """Known and borne: any agent may read any sealed blob, so a blob's address is no capability."""
    found = await c1.newest_bytes(BLOBS, "blob.*")
    assert found is not None
    assert found.value == b"sealed"


@pytest.mark.parametrize(
    ("service", "subject"),
    [
        ("status", "assignment.c1"),
        ("status", "decision.fleet"),
        ("renderer", "assignment.c1"),
        ("fetcher", "revision.shop"),
        ("rollout", "revision.shop"),
        ("rollout", "blob.cc"),
        ("fetcher", "command.approve"),
    ],
)
async def test_a_service_writes_only_what_it_owns(installation: Installation, service: str, subject: str) -> None:
    async with Broker(installation.settings(service)) as broker:
        await broker.wait_connected(10)
        with pytest.raises(Retryable):
            await broker.publish_bytes(subject, b"x")


@pytest.mark.parametrize("service", ["status", "fetcher"])
async def test_who_holds_no_bundle_key_cannot_even_read_the_blobs(installation: Installation, service: str) -> None:
    async with Broker(installation.settings(service)) as broker:
        await broker.wait_connected(10)
        with pytest.raises(Retryable):
            await broker.newest_bytes(BLOBS, "blob.aa")


async def test_a_stored_blob_is_never_replaced(installation: Installation, admin: Broker) -> None:
    async with Broker(installation.settings("renderer")) as broker:
        await broker.wait_connected(10)
        assert await broker.publish_once("blob.dd", b"first")
        assert not await broker.publish_once("blob.dd", b"second")
    found = await admin.newest_bytes(BLOBS, "blob.dd")
    assert found is not None
    assert found.value == b"first"


async def test_a_missing_stream_is_not_an_empty_one(admin: Broker) -> None:
    """I1: an error is never read as 'there is nothing'."""
    await admin.jetstream().delete_stream(ASSIGNMENTS)
    with pytest.raises((Retryable, nats.js.errors.Error)):
        await admin.newest_bytes(ASSIGNMENTS, "assignment.c1")
