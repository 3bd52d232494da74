"""Taking decisions into the state, and noting what has to be stored of each.

Used by the flow (decide.py) under its lock; one `Ledger` per transaction. When the transaction fails the flow reads the
state anew, so nothing here is undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from knarr.pipeline.decision import AppVerdict, AssignedGeneration
from knarr.pipeline.report import AppReport
from knarr.pipeline.revision import BundleRef, RevisionRendered
from knarr.rollout.core.decision import Decision, Send, prunes_to_release
from knarr.rollout.core.enrolment import confirmed, removal_confirmed
from knarr.rollout.core.intake import Intake
from knarr.rollout.core.state import FleetState, IndexView, Member, Placement, Removal
from knarr.rollout.ports import Changes, OutgoingAssignment


class Ledger:
    """`changes` holds what the store has to keep; `touched` the clusters whose assignment changes."""

    def __init__(self, state: FleetState) -> None:
        self.state = state
        self.changes = Changes()
        self.touched: set[str] = set()

    def take_in(self, intake: Intake, found: Mapping[str, RevisionRendered]) -> None:
        """What a rendered commit changes, before anything is decided."""
        state, changes = self.state, self.changes
        changes.revisions = list(found.values())
        for revision in found.values():
            for index in revision.indexes:
                if index.digest not in state.indexes:
                    state.indexes[index.digest] = IndexView.of(index)
                    changes.indexes.append(index)
        for member in intake.members.values():
            self.note_member(member)
        state.targets |= intake.targets
        changes.targets |= intake.targets
        changes.progress = dict(intake.progress)
        state.progress |= intake.progress
        if intake.failing != state.failing:
            changes.failing = state.failing = dict(intake.failing)

    def note_member(self, member: Member) -> None:
        """A cluster is as given from now on."""
        self.state.members[member.name] = member
        self.changes.members[member.name] = member

    def apply(self, decision: Decision) -> None:
        """What goes out, the prunes that need not wait any more, and how each target stands."""
        for send in decision.sends:
            self._apply_send(send)
        for app, cluster in prunes_to_release(self.state):
            self.put(app, cluster, replace(self.state.placements[app][cluster], defer_prune=False))
        for told in decision.apps:
            target = self.state.targets[told.app]
            held = told.verdict in (AppVerdict.HELD, AppVerdict.REFUSED)
            released = target.released if held or target.gone else target.revision
            after = replace(target, held=held, released=released)
            if after != target or told.app in self.changes.targets:
                self.state.targets[told.app] = self.changes.targets[told.app] = after

    def put(self, app: str, cluster: str, placement: Placement) -> None:
        """The cluster is assigned this."""
        self.state.placements.setdefault(app, {})[cluster] = placement
        self.changes.placements[(app, cluster)] = placement
        self.touched.add(cluster)

    def next_generations(self, *, traceparent: str = "", spread_seconds: float = 0.0) -> tuple[AssignedGeneration, ...]:
        """Every touched cluster goes one generation up, and has an assignment to be sent."""
        clusters = sorted(self.touched)
        for cluster in clusters:
            member = self.state.members[cluster]
            self.note_member(replace(member, generation=member.generation + 1))
        self.changes.outgoing = [
            OutgoingAssignment(cluster=c, traceparent=traceparent, spread_seconds=spread_seconds) for c in clusters
        ]
        return tuple(AssignedGeneration(cluster=c, generation=self.state.members[c].generation) for c in clusters)

    def confirm(self, report: AppReport) -> None:
        """Forgets the baselines and tombstones that the report proves done."""
        key = (report.app, report.cluster)
        placement = self.state.placements.get(report.app, {}).get(report.cluster)
        if placement is not None and (after := confirmed(placement, report)) is not None:
            self.state.placements[report.app][report.cluster] = self.changes.placements[key] = after
        removal = self.state.removals.get(report.app, {}).get(report.cluster)
        if removal is not None and removal_confirmed(removal, report):
            del self.state.removals[report.app][report.cluster]
            self.changes.removals[key] = None
            self._forget_if_done(report.app)

    def _apply_send(self, send: Send) -> None:
        move, key = send.move, (send.move.app, send.move.cluster)
        placed = self.state.placements.setdefault(move.app, {})
        leaving = self.state.removals.setdefault(move.app, {})
        now, was_leaving = placed.get(move.cluster), leaving.get(move.cluster)
        baseline = now.baseline if now else was_leaving.baseline if was_leaving else ()
        if move.ref is not None:
            self.put(move.app, move.cluster, _placement(move.ref, move.revision, baseline, send))
            if leaving.pop(move.cluster, None) is not None:
                self.changes.removals[key] = None
            return
        placed.pop(move.cluster, None)
        self.changes.placements[key] = None
        generation = self.state.members[move.cluster].generation + 1
        removal = Removal(since_generation=generation, revision=move.revision, baseline=baseline)
        leaving[move.cluster] = self.changes.removals[key] = removal
        self.touched.add(move.cluster)

    def _forget_if_done(self, app: str) -> None:
        target = self.state.targets.get(app)
        if target and target.gone and not self.state.placements.get(app) and not self.state.removals.get(app):
            del self.state.targets[app]
            self.changes.targets[app] = None


def new_bytes(sends: Iterable[Send]) -> dict[str, int]:
    """Cluster → sealed bytes that it has to fetch because of the sends."""
    found: dict[str, int] = {}
    for send in sends:
        if send.move.ref is not None:
            found[send.move.cluster] = found.get(send.move.cluster, 0) + send.move.ref.sealed_size
    return found


def _placement(ref: BundleRef, revision: str, baseline: tuple[bytes, ...], send: Send) -> Placement:
    kept = () if send.approved else tuple(d for d in baseline if d != ref.digest)
    return Placement(
        ref=ref,
        revision=revision,
        baseline=(*kept, ref.digest),
        approved=send.approved,
        defer_prune=send.defer_prune,
    )
