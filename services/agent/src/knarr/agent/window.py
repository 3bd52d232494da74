"""What left an app within the budget's window: noted before it goes, forgotten when it is over or approved (I2).

Owned by reconcile, like the records that it changes. What an app lets go to another one keeps its weight: dropped
there, it counts in the budget of the app it came from too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from knarr.agent.core.budget import Past
from knarr.agent.core.plan import Plan
from knarr.agent.perform import Performed
from knarr.agent.records import Record
from knarr.bundle.budget import Budget, within
from knarr.pipeline.names import AppName, ObjectId
from knarr.pipeline.report import StepAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One per agent. `holder` gives the app whose assigned bundle has an object; `clock` Unix seconds."""

    budget: Budget
    records: Mapping[AppName, Record]
    holder: Callable[[ObjectId], AppName | None]
    clock: Callable[[], float]

    def past(self, record: Record) -> Past:
        """What counts along in the app's own budget."""
        left = within(record.left, self._now(), self.budget)
        away = [i for i in left if i not in record.entries]
        moved = frozenset(i for i in away if self._is_kept(i, record))
        again = within(record.recreated, self._now(), self.budget).keys() & record.entries.keys()
        return Past(
            app=record.app,
            has=len(record.entries),
            gone=frozenset(away) - moved,
            moved=moved,
            recreated=frozenset(again),
        )

    def origins(self, record: Record) -> tuple[Past, ...]:
        """Of the apps that some of this app's objects came from."""
        others = (r for r in self.records.values() if r is not record and r.left)
        return tuple(self.past(other) for other in others if other.left.keys() & record.entries.keys())

    def let_go(self, record: Record, moving: Iterable[ObjectId]) -> None:
        """These are another app's now."""
        now = self._now()
        for identity in moving:
            record.entries.pop(identity, None)
            record.left[identity] = now

    def begin(self, record: Record, plan: Plan, wanted: Collection[ObjectId]) -> bool:
        """Notes what the plan deletes, before it does; whether there is anything new to keep."""
        now, before = self._now(), (record.left, record.renamed)
        back = record.entries.keys() & wanted
        record.left = {i: at for i, at in within(record.left, now, self.budget).items() if i not in back}
        record.recreated = within(record.recreated, now, self.budget)
        if not plan.approved:
            record.left |= dict.fromkeys(plan.lost - record.left.keys(), now)
        record.renamed = plan.renamed
        return not plan.lost <= before[0].keys() or record.renamed != before[1]

    def settle(self, record: Record, plan: Plan, performed: Performed) -> tuple[Record, ...]:
        """After the plan: an approval settles what goes with it and what went before. The other apps it changes."""
        gone = {r.step.ref.id for r in performed.results if r.gone and r.step.action is StepAction.PRUNE}
        again = {r.step.ref.id for r in performed.results if r.seen and r.step.action is StepAction.RECREATE}
        record.renamed &= record.entries.keys()
        if not plan.approved:
            record.recreated |= dict.fromkeys(again, self._now())
            return ()
        if not gone and not again:
            return ()
        record.left = {i: at for i, at in record.left.items() if self._is_kept(i, record)}
        record.recreated = {}
        changed = [r for r in self.records.values() if r is not record and r.left.keys() & gone]
        for other in changed:
            other.left = {i: at for i, at in other.left.items() if i not in gone}
        return tuple(changed)

    def remnant(self, record: Record) -> dict[ObjectId, int]:
        """What is still to be remembered of an app that is removed: its objects that are other apps' now."""
        left = within(record.left, self._now(), self.budget)
        return {i: at for i, at in left.items() if i not in record.entries and self._is_kept(i, record)}

    def _is_kept(self, identity: ObjectId, by_other_than: Record) -> bool:
        """Whether another app has the object: in its assigned bundle, or in its inventory and not going right now."""
        if (holder := self.holder(identity)) is not None and holder != by_other_than.app:
            return True
        others = (r for r in self.records.values() if r is not by_other_than)
        return any(identity in r.entries and identity not in r.left for r in others)

    def _now(self) -> int:
        return int(self.clock() * 1000)
