"""Putting results into a record: inventory, counts, drift ledger, failures. No reading, no writing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from knarr.agent.core.drift import Fight, after_heal, ledger_entry, with_entry
from knarr.agent.core.inventory import Entry
from knarr.agent.core.plan import Plan, failure
from knarr.agent.perform import Performed, Result
from knarr.agent.records import Record
from knarr.pipeline.failure import Failure
from knarr.pipeline.names import ObjectId, object_words
from knarr.pipeline.report import Adoption, AdoptionOutcome, DriftEntry, StepAction

Notes = Mapping[ObjectId, Mapping[str, Any] | None]
_MAX_ADOPTIONS = 100
_COUNTED = {
    StepAction.CREATE: "created",
    StepAction.CONFIGURE: "configured",
    StepAction.RECREATE: "configured",
    StepAction.HOOK: "configured",
    StepAction.ADOPT: "adopted",
    StepAction.UNCHANGED: "unchanged",
    StepAction.PRUNE: "pruned",
    StepAction.SKIP: "skipped",
}


def intend(record: Record, plan: Plan) -> bool:
    """Writes down what is about to be created, before it is; whether anything new was."""
    kept = [s for s in plan.steps if s.writes and s.action not in (StepAction.PRUNE, StepAction.HOOK)]
    fresh = [s for s in kept if s.ref.id not in record.entries]
    for step in fresh:
        record.entries[step.ref.id] = Entry(step.ref.api_version, step.wave, b"")
    return bool(fresh)


def account(record: Record, plan: Plan, performed: Performed, notes: Notes, now: float) -> None:
    """Everything that the results mean for the record. `notes` says how changed objects were found."""
    counts: dict[str, int] = {}
    for result in performed.results:
        name = "failed" if result.failure else "skipped" if result.held else _COUNTED.get(result.step.action, "")
        if name:
            counts[name] = counts.get(name, 0) + 1
        _enter(record, result)
    for result in performed.results:
        _note_drift(record, result, notes, now)
    record.counts = counts
    record.adoptions = _adoptions(record, performed)
    record.failed = tuple(r.failure for r in performed.results if r.failure is not None)
    record.held = plan.held or next((r.held for r in performed.results if r.held is not None), None)
    postponed = [s for s in plan.steps if s.postponed]
    record.deferred = any(not s.content for s in postponed)
    record.waits_for = performed.waits_for or next((s.reason for s in postponed if s.content), "")
    record.drifted = any(s.left_alone for s in plan.steps)


def _adoptions(record: Record, performed: Performed) -> tuple[Adoption, ...]:
    """What was adopted stays in the report; what was refused until the object is dealt with."""
    settled = {r.step.ref.id for r in performed.results if r.failure is None}
    kept = {a.object_id: a for a in record.adoptions if not (_is_refused(a) and a.object_id in settled)}
    kept |= {r.adoption.object_id: r.adoption for r in performed.results if r.adoption is not None}
    return tuple(kept.values())[-_MAX_ADOPTIONS:]


def _is_refused(adoption: Adoption) -> bool:
    return adoption.outcome is AdoptionOutcome.REFUSED


def fights(record: Record, now: float) -> tuple[Failure, ...]:
    """A failure for each object that is fought over at present."""
    return tuple(
        failure(
            "KNR4050", f"{object_words(identity)} is changed back by {_opponent(record, identity)}", object_id=identity
        )
        for identity, fight in sorted(record.fights.items())
        if fight.resting(now)
    )


def _enter(record: Record, result: Result) -> None:
    step = result.step
    if result.run is not None and step.hook is not None:
        record.hooks[step.hook.key] = result.run
    elif result.gone:
        record.entries.pop(step.ref.id, None)
    elif result.failure is not None or result.held is not None:
        return
    elif step.mark:
        record.entries[step.ref.id] = replace(record.entries[step.ref.id], mark=step.mark)
    elif result.seen is not None and step.action is not StepAction.PRUNE:
        record.entries[step.ref.id] = Entry(
            step.ref.api_version, step.wave, step.content, result.seen.uid, result.seen.mark
        )


def _note_drift(record: Record, result: Result, notes: Notes, now: float) -> None:
    step = result.step
    if step.manifest is None or result.failure is not None or result.held is not None:
        return
    if step.left_alone and step.ref.id in notes:
        found = ledger_entry(step.ref.id, step.manifest, notes[step.ref.id], now=now, healed=False)
        fights = record.fights.get(step.ref.id, Fight()).resting(now)
        if not _is_known(record, found):
            record.drift = with_entry(record.drift, replace(found, fight=fights))
    if not step.heals:
        return
    found = ledger_entry(step.ref.id, step.manifest, notes.get(step.ref.id), now=now, healed=True)
    fight = after_heal(record.fights.get(step.ref.id, Fight()), now)
    record.fights[step.ref.id] = fight
    record.drift = with_entry(record.drift, replace(found, fight=fight.resting(now)))


def _is_known(record: Record, found: DriftEntry) -> bool:
    """What is left as it is would otherwise be told again after each restart."""
    last = next((d for d in reversed(record.drift) if d.object_id == found.object_id), None)
    return last is not None and replace(last, at_ms=0, fight=False) == replace(found, at_ms=0)


def _opponent(record: Record, identity: ObjectId) -> str:
    found = [d for d in record.drift if d.object_id == identity]
    return f"{found[-1].manager or 'somebody'} ({', '.join(found[-1].paths[:3])})" if found else "somebody"
