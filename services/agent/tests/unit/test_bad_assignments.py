"""Whatever comes as assignment or bundle: a number in the report, the last good state kept, the next good one taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from knarr.agent.adapters.nats import hinted_sequence
from knarr.pipeline.assignment import AssignedApp
from knarr.pipeline.report import AppState
from knarr.testkit.agent_bench import Bench, bench, config_map
from knarr.testkit.agent_hub import Assigner, assigned, bundle_of

Bad = Callable[[Bench, AssignedApp], bytes]


def _garbled(b: Bench, app: AssignedApp) -> bytes:
    good = bytearray(b.assigner.signed([app]))
    good[len(good) // 2] ^= 0xFF
    return bytes(good)


def _truncated(b: Bench, app: AssignedApp) -> bytes:
    return b.assigner.signed([app])[:-20]


def _by(b: Bench, **changes: object) -> Assigner:
    made = Assigner(b.assigner.cluster, b.assigner.cluster_uid, b.assigner.recipient, signer=b.assigner.signer)
    made.generation = b.assigner.generation
    for name, value in changes.items():
        setattr(made, name, value)
    return made


ASSIGNMENTS: dict[str, tuple[str, Bad]] = {
    "bytes that are no message": ("KNR7001", lambda b, app: b"\xff\xfe not a message"),
    "a message with a flipped byte": ("KNR7007", _garbled),
    "a message cut short": ("KNR7001", _truncated),
    "another signer": ("KNR7007", lambda b, app: _by(b, signer=SigningKey(b"x" * 32)).signed([app])),
    "another epoch": ("KNR4001", lambda b, app: b.assigner.signed([app], epoch="another")),
    "another cluster": ("KNR4002", lambda b, app: b.assigner.signed([app], cluster="c2")),
    "another cluster of this name": ("KNR4003", lambda b, app: b.assigner.signed([app], cluster_uid="other")),
    "an older generation": ("KNR4004", lambda b, app: b.assigner.signed([app], generation=1)),
    "a feature that nobody knows": ("KNR4005", lambda b, app: b.assigner.signed([app], requires=("telepathy",))),
    "an app assigned and removed": ("KNR4007", lambda b, app: b.assigner.signed([app], tombstones=[app.app])),
    "an app named like a wildcard": ("KNR7002", lambda b, app: b.assigner.signed([replace(app, app="*")])),
    "sealed to another cluster's key": ("KNR7004", lambda b, app: _by(b, recipient=b"\x07" * 32).signed([app])),
}


@pytest.mark.parametrize("case", ASSIGNMENTS)
async def test_a_bad_assignment_is_refused_and_the_last_good_one_stays(case: str, tmp_path: Path) -> None:
    code, make = ASSIGNMENTS[case]
    async with bench(tmp_path) as b:
        b.assign(bundle_of("other", config_map("o"), namespace="shop"))
        good = b.assign(bundle_of("shop", config_map("a", x="1"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        b.hub.store(make(b, replace(good["shop"], digest=b"d" * 32)))
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and [f.code for f in r.failures] == [code])
        found = b.get("ConfigMap", "a")
        assert found is not None
        assert found["data"] == {"x": "1"}
        again = b.assign(bundle_of("shop", config_map("a", x="2"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY, again["shop"].digest)
        await b.until(lambda: (r := b.hub.cluster_report()) is not None and not r.failures)


def _swapped(b: Bench, app: AssignedApp) -> AssignedApp:
    _, other = assigned(bundle_of("other", config_map("z"), namespace="shop"))
    b.hub.blobs[app.address] = other.data
    return app


BUNDLES: dict[str, tuple[str, Callable[[Bench, AssignedApp], AssignedApp]]] = {
    "bytes that are not the address's": ("KNR7003", _swapped),
    "a key that does not open it": ("KNR7004", lambda b, app: replace(app, key=b"k" * 32)),
    "larger than stated": ("KNR7005", lambda b, app: replace(app, plain_size=10)),
    "content that is not the digest's": ("KNR7006", lambda b, app: replace(app, digest=b"d" * 32)),
    "fewer objects than stated": ("KNR4009", lambda b, app: replace(app, object_count=7)),
    "a blob that is not there": ("KNR7013", lambda b, app: replace(app, address=b"a" * 32)),
    "a bundle of another app": ("KNR7008", lambda b, app: replace(app, app="stranger")),
}


@pytest.mark.parametrize("case", BUNDLES)
async def test_a_bad_bundle_fails_its_app_alone_and_prunes_nothing(case: str, tmp_path: Path) -> None:
    code, spoil = BUNDLES[case]
    async with bench(tmp_path) as b:
        first = b.assign(
            bundle_of("shop", config_map("a", x="1"), config_map("b", x="1"), namespace="shop"),
            bundle_of("other", *(config_map(f"o{i}") for i in range(8)), namespace="shop"),
        )
        await b.state("shop", AppState.HEALTHY)
        await b.state("other", AppState.HEALTHY)
        app, sealed = assigned(bundle_of("shop", config_map("a", x="2"), namespace="shop"))
        b.hub.blobs[sealed.address] = sealed.data
        less = b.prepared(bundle_of("other", *(config_map(f"o{i}", x="2") for i in range(1, 8)), namespace="shop"))
        b.hub.store(b.assigner.signed([spoil(b, app), less]))
        name = "stranger" if case == "a bundle of another app" else "shop"
        await b.until(lambda: (r := b.hub.app(name)) is not None and [f.code for f in r.failures] == [code])
        await b.eventually(lambda: (f := b.get("ConfigMap", "o1")) is not None and f["data"] == {"x": "2"})
        assert b.get("ConfigMap", "b") is not None
        assert b.get("ConfigMap", "o0") is not None  # deletions wait until every bundle is known
        if name == "shop":
            report = b.hub.app("shop")
            assert report is not None
            assert report.digest == first["shop"].digest


HINTS: dict[str, tuple[dict[str, str] | None, int | None]] = {
    "a true hint": (
        {"Nats-Stream": "ASSIGNMENTS", "Nats-Subject": "assignment.c1", "Nats-Sequence": "7"},
        7,
    ),
    "no headers": (None, None),
    "a blob answered onto our hint subject": (
        {"Nats-Stream": "BLOBS", "Nats-Subject": "blob.aa", "Nats-Sequence": "999999"},
        None,
    ),
    "another cluster's assignment": (
        {"Nats-Stream": "ASSIGNMENTS", "Nats-Subject": "assignment.c2", "Nats-Sequence": "9"},
        None,
    ),
    "a sequence that is no number": (
        {"Nats-Stream": "ASSIGNMENTS", "Nats-Subject": "assignment.c1", "Nats-Sequence": "-3"},
        None,
    ),
}


@pytest.mark.parametrize("case", HINTS)
def test_only_a_true_hint_counts(case: str) -> None:
    headers, sequence = HINTS[case]
    assert hinted_sequence(headers, "c1") == sequence


async def test_a_hint_far_ahead_costs_at_most_five_reads(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(bundle_of("shop", config_map("a"), namespace="shop"))
        await b.state("shop", AppState.HEALTHY)
        before = b.hub.assignment_reads
        b.hub.hint(10**9)
        apps = b.prepared(bundle_of("shop", config_map("a", x="2"), namespace="shop"))
        await b.reads(before + 5)
        b.hub.store(b.assigner.signed([apps]))
        await b.state("shop", AppState.HEALTHY, apps.digest)
        assert b.hub.assignment_reads <= before + 7


async def test_a_stream_of_reports_that_begins_again_gets_everything(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.assign(*(bundle_of(f"app{i}", config_map(f"c{i}"), namespace="shop") for i in range(4)))
        for number in range(4):
            await b.state(f"app{number}", AppState.HEALTHY)
        b.hub.begin_again()
        await b.until(lambda: all(b.hub.app(f"app{n}") is not None for n in range(4)))
