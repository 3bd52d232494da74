"""Checked fakes of rollout's `Outbox` and `Revisions`, and the suites that make them so: NATS passes the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from knarr.pipeline.decision import CommandHandled, RolloutDecided
from knarr.pipeline.revision import RevisionRendered
from knarr.pipeline.snapshot import Commit
from knarr.rollout.ports import Outbox, Outdated, Revisions


class MemoryOutbox:
    """Rollout's `Outbox`, kept: newest assignment per cluster, all decisions, all answers.

    `failing`: what every assignment meets, as with a broker that does not answer; `refusing`: what those of one cluster
    meet, or all "decisions". `lose` empties the stream.
    """

    def __init__(self) -> None:
        self.assignments: dict[str, bytes] = {}
        self.failing: Exception | None = None
        self.refusing: dict[str, Exception] = {}
        self._sequences: dict[str, int] = {}
        self._last = 0
        self.sent: list[str] = []
        self.decisions: list[RolloutDecided] = []
        self.answers: list[CommandHandled] = []

    async def assignment(self, cluster: str, signed: bytes, *, expect: int) -> int:
        if (error := self.failing or self.refusing.get(cluster)) is not None:
            raise error
        if self._sequences.get(cluster, 0) != expect:
            raise Outdated(cluster)
        self._last += 1
        self._sequences[cluster] = self._last
        self.assignments[cluster] = signed
        self.sent.append(cluster)
        return self._last

    async def newest_assignment(self, cluster: str) -> tuple[bytes, int] | None:
        if cluster not in self.assignments:
            return None
        return self.assignments[cluster], self._sequences[cluster]

    def lose(self) -> None:
        self.assignments.clear()
        self._sequences.clear()

    async def decided(self, decision: RolloutDecided) -> None:
        if (error := self.refusing.get("decisions")) is not None:
            raise error
        self.decisions.append(decision)

    async def handled(self, outcome: CommandHandled) -> None:
        self.answers.append(outcome)

    async def missing_assignments(self, clusters: list[str]) -> list[str]:
        return [c for c in clusters if c not in self.assignments]


class MemoryRevisions:
    """Rollout's `Revisions`: the newest per app."""

    def __init__(self) -> None:
        self.by_app: dict[str, RevisionRendered] = {}

    async def newest(self, app: str) -> RevisionRendered | None:
        return self.by_app.get(app)


class OutboxConformance:
    """Subclass it with an `outbox` fixture, and `heard`: the decisions and answers that went out."""

    async def test_an_assignment_is_stored_over_what_is_expected(self, outbox: Outbox) -> None:
        assert await outbox.newest_assignment("c1") is None
        first = await outbox.assignment("c1", b"one", expect=0)
        second = await outbox.assignment("c1", b"two", expect=first)
        assert second > first
        assert await outbox.newest_assignment("c1") == (b"two", second)

    @pytest.mark.parametrize("expect", [0, 10_000])
    async def test_an_assignment_over_something_else_is_not_stored(self, outbox: Outbox, expect: int) -> None:
        first = await outbox.assignment("c1", b"one", expect=0)
        with pytest.raises(Outdated):
            await outbox.assignment("c1", b"late", expect=expect)
        assert await outbox.newest_assignment("c1") == (b"one", first)

    async def test_clusters_do_not_meet(self, outbox: Outbox) -> None:
        first = await outbox.assignment("c1", b"one", expect=0)
        await outbox.assignment("c10", b"ten", expect=0)
        assert await outbox.newest_assignment("c1") == (b"one", first)
        assert await outbox.missing_assignments(["c1", "c2", "c10"]) == ["c2"]
        assert await outbox.missing_assignments([]) == []

    async def test_decisions_and_answers_go_out(self, outbox: Outbox, heard: Heard) -> None:
        decision = RolloutDecided(number=3, epoch="e", commit=Commit(source="team", number=1))
        answer = CommandHandled(command_id="x", accepted=True)
        await outbox.decided(decision)
        await outbox.decided(decision)
        await outbox.decided(replace(decision, number=4, commit=None))
        await outbox.handled(answer)
        decisions, answers = await heard()
        assert sorted({d.number for d in decisions}) == [3, 4]
        assert answers == [answer]


class RevisionsConformance:
    """Subclass it with a `revisions` fixture, and `render`: the renderer stores one."""

    async def test_the_newest_of_an_app(self, revisions: Revisions, render: Render) -> None:
        assert await revisions.newest("shop") is None
        for name in ("r1", "r2"):
            await render(RevisionRendered(app="shop", revision=name))
        await render(RevisionRendered(app="shopping", revision="r3"))
        found = await revisions.newest("shop")
        assert found is not None
        assert found.revision == "r2"


Heard = Callable[[], Awaitable[tuple[list[RolloutDecided], list[CommandHandled]]]]
Render = Callable[[RevisionRendered], Awaitable[None]]
