"""Operator commands: API → COMMANDS → rollout, and the wait for its answer.

The command is written to the audit before it is published. No answer within the deadline is not a refusal: the
command waits in the queue (KNR5040).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from knarr.pipeline.decision import Command, CommandVerb
from knarr.pipeline.errors import rejected, retryable
from knarr.status.core.planned import planned
from knarr.status.core.text import clean
from knarr.status.ports import CommandStore, Plans, ReadModel, Teller
from knarr.status.record import Clock, now_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """Rollout's answer."""

    command_id: str
    accepted: bool
    failure: Mapping[str, Any] | None


class Operate:
    """`deadline_seconds`: how long a request waits for rollout."""

    def __init__(
        self,
        read: ReadModel,
        commands: CommandStore,
        teller: Teller,
        plans: Plans,
        deadline_seconds: float,
        clock: Clock = now_ms,
    ) -> None:
        self._read = read
        self._plans = plans
        self._commands = commands
        self._teller = teller
        self._deadline = deadline_seconds
        self._clock = clock

    async def approve(self, prefix: str, evidence: bytes, actor: str, reason: str) -> tuple[Handled, str]:
        """Approves exactly the held revision that begins with `prefix`; the answer and the full id.

        `evidence`: of the held card that the operator saw; rollout refuses it when something else would go by now.
        KNR5020: none begins so. KNR5041: it is not held (any more). KNR5042: several are held.
        """
        rows = await self._read.rows("list_revisions", None, None, None, None, prefix, None, 50)
        if not rows:
            raise rejected("KNR5020", f"no revision begins with {prefix[:80]}")
        held = [r for r in rows if r["verdict"] == "held" and r["current"]]
        if not held:
            raise rejected("KNR5041", f"{rows[0]['app']} {prefix[:12]} is not held")
        if len(held) > 1:
            raise rejected("KNR5042", f"{prefix[:80]} is the beginning of several held revisions")
        command = self._command(CommandVerb.APPROVE, actor, reason, revision=held[0]["revision"], app=held[0]["app"])
        return await self._ask(replace(command, evidence=evidence)), held[0]["revision"]

    async def adopt(self, cluster: str, actor: str, reason: str) -> Handled:
        """Accepts a cluster's new UID and key. KNR5020 when no such cluster is known."""
        return await self._ask(self._command(CommandVerb.ADOPT, actor, reason, cluster=cluster))

    async def plan(self, cluster: str, app: str, prefix: str, actor: str, reason: str) -> Handled:
        """Asks the cluster what it would do; `planned` has the answer. `prefix`: of a revision, empty for the newest.

        KNR5020: no revision of the app begins so. KNR5042: several do.
        """
        revision = await self._revision(app, prefix) if prefix else ""
        return await self._ask(
            self._command(CommandVerb.PLAN, actor, reason, cluster=cluster, app=app, revision=revision)
        )

    async def planned(self, cluster: str, command_id: str) -> dict[str, Any]:
        """The cluster's answer, or that there is none yet."""
        return planned(command_id, await self._plans.newest_plan(cluster))

    async def _revision(self, app: str, prefix: str) -> str:
        rows = await self._read.rows("list_revisions", None, None, None, app, prefix, None, 3)
        found = {str(row["revision"]) for row in rows}
        if not found:
            raise rejected("KNR5020", f"no revision of {app[:80]} begins with {prefix[:80]}")
        if len(found) > 1 and prefix not in found:
            raise rejected("KNR5042", f"{prefix[:80]} is the beginning of several revisions of {app[:80]}")
        return prefix if prefix in found else found.pop()

    def _command(self, verb: CommandVerb, actor: str, reason: str, **about: Any) -> Command:
        return Command(
            command_id=secrets.token_hex(16),
            verb=verb,
            actor=clean(actor, 100) or "api",
            reason=clean(reason, 500),
            asked_at_ms=self._clock(),
            **about,
        )

    async def _ask(self, command: Command) -> Handled:
        await self._commands.record_command(command)
        await self._teller.command(command)
        wait = 0.02
        try:
            async with asyncio.timeout(self._deadline):
                while (answer := await self._commands.handled(command.command_id)) is None:
                    await asyncio.sleep(wait)
                    wait = min(0.25, wait * 1.5)
        except TimeoutError as error:
            raise retryable("KNR5040", f"no answer within {self._deadline:g} s to {command.command_id}") from error
        return Handled(command_id=command.command_id, accepted=answer[0], failure=answer[1])
