"""Follows the fleet repository and every source that its fleet.yaml lists, as it lists them.

Called by main. A fleet.yaml that cannot be read changes nothing: who is followed stays followed (I1).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import structlog

from knarr.fetcher.core.address import AddressRules
from knarr.fetcher.core.fleet_file import FILE_BYTES, FLEET_FILE, SourceList, read_sources
from knarr.fetcher.core.source import Source
from knarr.fetcher.core.standing import Standing
from knarr.fetcher.counters import SOURCES
from knarr.fetcher.fetch import Fetched
from knarr.fetcher.follow import Follower, Rhythm
from knarr.fetcher.ports import OpenRepository, Repository
from knarr.fetcher.snapshot import Parts
from knarr.pipeline.errors import KnarrError, failure_of, rejected
from knarr.pipeline.failure import Failure

LOG = structlog.get_logger("knarr.fetcher")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Followed:
    follower: Follower
    task: asyncio.Task[None]


class FleetFollower:
    """Every source of the fleet. `run` ends only by being cancelled."""

    def __init__(
        self, fleet: Source, parts: Parts, open_repository: OpenRepository, rhythm: Rhythm, rules: AddressRules
    ) -> None:
        self._parts, self._open, self._rhythm, self._rules = parts, open_repository, rhythm, rules
        self._fleet = Follower(fleet, parts, open_repository, rhythm, self._after_fleet_look)
        self._others: dict[str, _Followed] = {}
        self._group = asyncio.TaskGroup()
        self._read_tree = ""
        self._list_failure: Failure | None = None

    @property
    def names(self) -> frozenset[str]:
        """Sources that are followed now."""
        return frozenset((self._fleet.source.name, *self._others))

    @property
    def ready(self) -> bool:
        """Whether the fleet repository has been looked at, with whatever outcome."""
        return self._fleet.looked

    def wake(self, name: str) -> bool:
        """Look at this source now; False when it is not followed."""
        if name == self._fleet.source.name:
            self._fleet.wake()
            return True
        followed = self._others.get(name)
        if followed is None:
            return False
        followed.follower.wake()
        return True

    def audit(self, name: str) -> None:
        """Somebody misses what this source has published: see whether it is still stored."""
        followed = self._others.get(name)
        if name == self._fleet.source.name:
            self._fleet.audit()
        elif followed is not None:
            followed.follower.audit()

    def wake_all(self) -> None:
        """Look at every source now."""
        for name in self.names:
            self.wake(name)

    async def run(self) -> None:
        """Follows for ever."""
        async with self._group:
            remembered = await self._remembered()
            self._adopt(remembered)
            await self._fleet.run()

    async def _remembered(self) -> SourceList:
        """What was followed before a restart, so that sources go on while the fleet repository cannot be reached."""
        try:
            content = await self._parts.memory.recall_fleet_file()
        except KnarrError as error:
            LOG.warning("state folder cannot be read", code=error.code, error=error.message)
            content = b""
        return read_sources(content, self._rules) if content else SourceList()

    async def _after_fleet_look(self, repository: Repository, fetched: Fetched) -> Failure | None:
        tree, commit = fetched.snapshot.tree_id, fetched.snapshot.commit
        if tree == self._read_tree or commit is None:
            return self._list_failure
        listed = await self._listed(repository, commit.sha)
        self._list_failure = _summary(listed.failures)
        await self._detach(self._adopt(listed))
        self._read_tree = tree
        return self._list_failure

    async def _listed(self, repository: Repository, sha: str) -> SourceList:
        try:
            content = await repository.file(sha, FLEET_FILE, FILE_BYTES)
            if content is None:
                raise rejected("KNR1020", f"the fleet repository has no {FLEET_FILE}", origin=FLEET_FILE)
        except KnarrError as error:
            if error.code == "KNR1008":
                raise
            return SourceList(failures=(failure_of(error),), complete=False)
        listed = read_sources(content, self._rules)
        if listed.complete and not listed.failures:
            await self._parts.memory.remember_fleet_file(content)
        return listed

    def _adopt(self, listed: SourceList) -> tuple[Follower, ...]:
        """Starts, restarts and ends followers; those that ended for good."""
        wanted = {source.name: source for source in listed.sources}
        for name, source in wanted.items():
            known = self._others.get(name)
            if known is not None and known.follower.source == source:
                continue
            if known is not None:
                known.task.cancel()
            self._others[name] = self._started(source)
        gone = [n for n in self._others if n not in wanted and n not in listed.unclear and listed.complete]
        ended = [self._others.pop(name) for name in gone]
        for followed in ended:
            followed.task.cancel()
        SOURCES.set(len(self.names))
        return tuple(followed.follower for followed in ended)

    def _started(self, source: Source) -> _Followed:
        follower = Follower(source, self._parts, self._open, self._rhythm, _nothing_more)
        return _Followed(follower=follower, task=self._group.create_task(follower.run(), name=f"follow {source.name}"))

    async def _detach(self, ended: tuple[Follower, ...]) -> None:
        for follower in ended:
            name = follower.source.name
            LOG.info("source is no longer listed", source=name)
            failure = failure_of(rejected("KNR1024", f"{FLEET_FILE} does not list {name} any more", origin=FLEET_FILE))
            with contextlib.suppress(KnarrError):
                await follower.tell(Standing(source=name, reachable=False, failure=failure))


async def _nothing_more(_repository: Repository, _fetched: Fetched) -> Failure | None:
    return None


def _summary(failures: tuple[Failure, ...]) -> Failure | None:
    if not failures:
        return None
    first = failures[0]
    if len(failures) == 1:
        return first
    message = f"{first.message} (and {len(failures) - 1} more)"
    return Failure(code=first.code, message=message, origin=first.origin, next_step=first.next_step)
