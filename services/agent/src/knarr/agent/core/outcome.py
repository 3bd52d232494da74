"""From what was done and seen to the state that is reported (I8): one word, with the reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from knarr.agent.core.health import Health, HealthStatus
from knarr.agent.core.plan import failure
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import ObjectId, object_words
from knarr.pipeline.report import AppState, ObjectHealth

MAX_UNHEALTHY = 20
MAX_FAILURES = 50
MAX_TRANSITIONS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the state follows from. `waits_for` is a line for a person while something is still to be done."""

    applied: bool
    failures: tuple[Failure, ...] = ()
    held: Failure | None = None
    drifted: bool = False
    waits_for: str = ""
    begun: bool = True
    unhealthy: tuple[ObjectHealth, ...] = ()
    late: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The state and its reasons."""

    state: AppState
    failures: tuple[Failure, ...] = ()
    message: str = ""


def judge(facts: Facts) -> Verdict:
    """Failures first, then what waits, then health."""
    if facts.failures:
        first = facts.failures[0]
        return Verdict(state=AppState.FAILED, failures=facts.failures[:MAX_FAILURES], message=first.message)
    if not facts.begun:
        return Verdict(state=AppState.WAITING, message=facts.waits_for)
    if facts.held is not None:
        return Verdict(state=AppState.HELD, failures=(facts.held,), message=facts.held.message)
    if facts.drifted:
        return Verdict(state=AppState.DRIFTED, message="changed in the cluster; healing is off or rests")
    broken = [o for o in facts.unhealthy if o.status == HealthStatus.FAILED.value]
    unknown = [o for o in facts.unhealthy if o.status == HealthStatus.UNKNOWN.value]
    if facts.unhealthy and (facts.late or broken or unknown):
        return _degraded([*broken, *unknown] or list(facts.unhealthy))
    if not facts.applied or facts.unhealthy:
        waits = facts.waits_for or _first(facts.unhealthy)
        return Verdict(state=AppState.PROGRESSING, message=waits)
    return Verdict(state=AppState.HEALTHY)


def _degraded(named: list[ObjectHealth]) -> Verdict:
    found = tuple(
        failure(_CODES.get(o.status, "KNR4040"), f"{object_words(o.object_id)}: {o.message}", object_id=o.object_id)
        for o in named[:MAX_UNHEALTHY]
    )
    return Verdict(state=AppState.DEGRADED, failures=found, message=_first(tuple(named)))


_CODES = {HealthStatus.FAILED.value: "KNR4041", HealthStatus.UNKNOWN.value: "KNR4042"}


def _first(unhealthy: tuple[ObjectHealth, ...]) -> str:
    return f"{object_words(unhealthy[0].object_id)}: {unhealthy[0].message}" if unhealthy else ""


def unhealthy_of(ids: Iterable[ObjectId], healths: Mapping[ObjectId, Health]) -> tuple[ObjectHealth, ...]:
    """What is not current, failed ones first; at most twenty."""
    found = [
        ObjectHealth(object_id=i, status=h.status.value, message=h.message)
        for i in ids
        if (h := healths.get(i, _MISSING)).status is not HealthStatus.CURRENT
    ]
    found.sort(key=lambda o: (o.status != HealthStatus.FAILED.value, o.object_id))
    return tuple(found[:MAX_UNHEALTHY])


_MISSING = Health(HealthStatus.NOT_FOUND, "not found in the cluster")
