"""Reports beyond their bounds are refused, elements are counted before values are built, and agents send what fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from knarr.pipeline.codec import decode, encode
from knarr.pipeline.errors import Rejected
from knarr.pipeline.failure import Failure
from knarr.pipeline.report import (
    Adoption,
    AppReport,
    ClusterReport,
    Counts,
    DriftEntry,
    ObjectHealth,
    PlannedStep,
    PlanReport,
    Transition,
)
from knarr.pipeline.report_bounds import ELEMENTS, PLAIN_BYTES, check_report
from knarr.pipeline.report_fit import SENT_BYTES, fitted

CLUSTER, APP, PLAN = "report.c1.cluster", "report.c1.app.web", "report.c1.plan"
BEATS = ClusterReport(cluster="c1", cluster_uid="1b4e28ba-2fa1-11d2-883f-0016d3cca427", generation_seen=7)
RUNS = AppReport(cluster="c1", app="web", digest=bytes(32), message="waits:\n\tfor the Deployment")
ANSWERS = PlanReport(cluster="c1", request_id="ab12", app="web")

BEYOND: list[tuple[str, str, Any]] = [
    ("a generation that leaves no room above it", CLUSTER, replace(BEATS, generation_seen=2**63 - 2)),
    ("the last generation of all", CLUSTER, replace(BEATS, generation_applied=2**63 - 1)),
    ("a generation just above the bound", APP, replace(RUNS, generation=2**48 + 1)),
    ("a negative generation", APP, replace(RUNS, generation=-1)),
    ("NUL in a UID", CLUSTER, replace(BEATS, cluster_uid="uid\0")),
    ("an escape in a version", CLUSTER, replace(BEATS, kubernetes_version="v1\x1b[31m")),
    ("a line break in an epoch", CLUSTER, replace(BEATS, epoch="a\nb")),
    ("a key of 31 bytes", CLUSTER, replace(BEATS, sealing_public_key=bytes(31))),
    ("a signature of 32 bytes", CLUSTER, replace(BEATS, sealing_key_signature=bytes(32))),
    ("a label of a megabyte", CLUSTER, replace(BEATS, labels={"env": "x" * 10**6})),
    ("NUL in a label's name", CLUSTER, replace(BEATS, labels={"e\0": "x"})),
    ("65 labels", CLUSTER, replace(BEATS, labels={str(n): "" for n in range(65)})),
    ("6,000 capabilities", CLUSTER, replace(BEATS, capabilities=("a/v1/B",) * 6_000)),
    ("a negative size", APP, replace(RUNS, object_count=-1)),
    ("a negative count", APP, replace(RUNS, counts=Counts(pruned=-5))),
    ("a time before time", APP, replace(RUNS, since_ms=-(2**63))),
    ("a time after the year 9999", APP, replace(RUNS, transitions=(Transition(at_ms=2**62),))),
    ("a digest of 33 bytes", APP, replace(RUNS, digest=bytes(33))),
    ("a held digest of one byte", APP, replace(RUNS, held_digests=(b"x",))),
    ("NUL in a message", APP, replace(RUNS, message="a\0b")),
    ("NUL in a failure", APP, replace(RUNS, failures=(Failure(code="KNR4001", message="\0"),))),
    ("a code that is a novel", APP, replace(RUNS, failures=(Failure(code="K" * 17),))),
    ("a drift's path with an escape", APP, replace(RUNS, drift=(DriftEntry(paths=("\x9b",)),))),
    ("1,001 unhealthy objects", APP, replace(RUNS, unhealthy=(ObjectHealth(),) * 1_001)),
    ("a step of a negative stage", PLAN, replace(ANSWERS, steps=(PlannedStep(stage=-1),))),
    ("NUL in the answer's id", PLAN, replace(ANSWERS, request_id="\0")),
]
ELSEWHERE: list[tuple[str, Any]] = [
    (CLUSTER, replace(BEATS, cluster="c2")),
    (APP, replace(RUNS, cluster="c2")),
    (APP, replace(RUNS, app="shop")),
    (APP, BEATS),
    (CLUSTER, RUNS),
    (PLAN, replace(ANSWERS, cluster="c2")),
    (PLAN, replace(ANSWERS, app="../x")),
    ("report.c_1.cluster", replace(BEATS, cluster="c_1")),
    ("report.c1.app.web.more", RUNS),
]


@pytest.mark.parametrize(("what", "subject", "report"), BEYOND, ids=[b[0] for b in BEYOND])
def test_a_report_beyond_its_bounds_is_refused(what: str, subject: str, report: Any) -> None:
    with pytest.raises(Rejected, match="KNR7014") as refused:
        check_report(subject, report)
    assert "\0" not in refused.value.message


@pytest.mark.parametrize(("subject", "report"), ELSEWHERE)
def test_a_report_about_somebody_else_is_refused(subject: str, report: Any) -> None:
    with pytest.raises(Rejected, match="KNR5002"):
        check_report(subject, report)


@pytest.mark.parametrize(("subject", "report"), [(CLUSTER, BEATS), (APP, RUNS), (PLAN, ANSWERS)])
def test_an_honest_report_passes(subject: str, report: Any) -> None:
    check_report(subject, report)
    assert fitted(report) is report


def test_three_million_empty_parts_are_counted_and_not_built() -> None:
    bomb = b"\x3a\x00" * 100_000  # AppReport.failures, each empty
    with pytest.raises(Rejected, match="KNR7015"):
        decode(AppReport, bomb, most_elements=ELEMENTS)
    nested = encode(AppReport(adoptions=(Adoption(differences=("",) * 20_000),)))
    with pytest.raises(Rejected, match="KNR7015"):
        decode(AppReport, nested, most_elements=ELEMENTS)
    with pytest.raises(Rejected, match="KNR7015"):
        decode(ClusterReport, b"\x6a\x00" * 10_000, most_elements=ELEMENTS)  # entries of the map


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_read_alike_with_and_without_counting(data: bytes) -> None:
    assert _read(data, None) == _read(data, 1_000)


def _read(data: bytes, most: int | None) -> object:
    try:
        return decode(AppReport, data, most_elements=most)
    except Rejected as error:
        return error.code


NUMBERS = st.integers(-(2**63), 2**63 - 1)
SMALL = st.integers(-(2**31), 2**31 - 1)
TEXTS = st.one_of(st.text(max_size=30), st.integers(1, 4_000).map("wörd ".__mul__))
FAILURES = st.builds(Failure, code=TEXTS, message=TEXTS, object_id=TEXTS, origin=TEXTS, next_step=TEXTS)
MANY = st.integers(0, 700)
APPS = st.builds(
    lambda f, n, d, m, **rest: AppReport(
        cluster="c1", app="web", failures=(f,) * n, adoptions=(d,) * n, message=m, digest=bytes(32), **rest
    ),
    FAILURES, MANY, st.builds(Adoption, object_id=TEXTS, differences=st.builds(lambda t, n: (t,) * n, TEXTS, MANY)),
    TEXTS, generation=NUMBERS, since_ms=NUMBERS, object_count=SMALL, traceparent=TEXTS,
    drift=st.builds(lambda t, n: (DriftEntry(object_id=t, paths=(t,) * 30),) * n, TEXTS, MANY),
)  # fmt: skip
CLUSTERS = st.builds(
    lambda c, n, labels, **rest: ClusterReport(
        cluster="c1", capabilities=(c,) * n, capabilities_known=True, labels=labels, **rest
    ),
    TEXTS, st.integers(0, 9_000), st.dictionaries(TEXTS, TEXTS, max_size=5), cluster_uid=TEXTS, generation_seen=NUMBERS,
    reported_at_ms=NUMBERS, failures=st.builds(lambda f, n: (f,) * n, FAILURES, MANY),
)  # fmt: skip
PLANS = st.builds(
    lambda s, n: PlanReport(cluster="c1", app="web", steps=(s,) * n),
    st.builds(PlannedStep, object_id=TEXTS, reason=TEXTS, differences=st.builds(lambda t: (t,) * 20, TEXTS)), MANY,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.one_of(APPS, CLUSTERS, PLANS))
def test_whatever_an_agent_found_what_it_sends_is_taken(report: Any) -> None:
    subject = {AppReport: APP, ClusterReport: CLUSTER, PlanReport: PLAN}[type(report)]
    sent = fitted(report)
    check_report(subject, sent)
    wire = encode(sent)
    assert len(wire) <= min(SENT_BYTES, PLAIN_BYTES)
    assert decode(type(sent), wire, most_elements=ELEMENTS) == sent
    assert fitted(sent) == sent


def test_a_plan_that_was_cut_says_how_much_is_missing() -> None:
    step = PlannedStep(object_id="x" * 600, reason="y" * 300, differences=("z" * 200,) * 20)
    sent = fitted(PlanReport(cluster="c1", app="web", steps=(step,) * 500))
    assert sent.steps[-1].reason == f"{501 - len(sent.steps)} more steps are not listed"


def test_more_capabilities_than_fit_are_told_as_not_known() -> None:
    sent = fitted(replace(BEATS, capabilities=("example.org/v1/Kind",) * 4_001, capabilities_known=True))
    assert (sent.capabilities, sent.capabilities_known) == ((), False)
