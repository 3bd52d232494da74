"""A source that cannot be read, or is not what it was: told with its number, nothing deleted, other sources go on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from knarr.local.git import GitRepository, GitServer
from tests.house import Files, House, app_files, config_map, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
_NAMES = ("empty", "emptied", "branch", "away", "forced", "beside")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Six sources beside the fleet's own; `away` lies on a host of its own."""

    house: House
    away: GitServer
    repositories: dict[str, GitRepository]

    async def push(self, name: str, value: str) -> str:
        """A commit of a source whose app `<name>-app` says `value`."""
        files: Files = app_files(f"{name}-app", {"a": value})
        return self.repositories[name].commit(files)

    async def fails_with(self, name: str, code: str) -> None:
        """Returns when the API says so of the source."""

        async def look() -> bool:
            found = [s for s in (await self.house.ask("sources"))["items"] if s["source"] == name]
            seen[:] = found
            return bool(found and found[0]["failure"] and found[0]["failure"]["code"] == code)

        seen: list[object] = []
        await until(f"source {name} failing with {code}", look, 30.0, lambda: seen)

    async def works(self, name: str) -> None:
        """Returns when the API says that the source can be read."""

        async def look() -> bool:
            found = [s for s in (await self.house.ask("sources"))["items"] if s["source"] == name]
            return bool(found and found[0]["reachable"] and not found[0]["failure"])

        await until(f"source {name} being readable", look)

    async def others_go_on(self, value: str) -> None:
        """A commit of another source reaches every cluster."""
        await self.push("beside", value)
        await self.house.everywhere("beside-app", "a", value)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sources(shared: House, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sources]:
    """All of them listed and, but for the empty one, healthy."""
    before = shared.repository.text("fleet.yaml")
    async with GitServer(tmp_path_factory.mktemp("away")) as away:
        hosts = {name: away if name == "away" else shared.git for name in _NAMES}
        made = Sources(house=shared, away=away, repositories={n: host.create(n) for n, host in hosts.items()})
        for name in _NAMES:
            if name != "empty":
                await made.push(name, "first")
        listed = [{"name": name, "url": host.http_url(name), "ref": {"branch": "main"}} for name, host in hosts.items()]
        await shared.push({"fleet.yaml": before + f"sources: {json.dumps(listed)}\n"})
        for name in _NAMES:
            if name != "empty":
                await shared.everywhere(f"{name}-app", "a", "first")
        yield made
        await shared.push({"fleet.yaml": before})


async def test_an_empty_repository_is_told_and_comes_to_life_later(sources: Sources) -> None:
    await sources.fails_with("empty", "KNR1002")
    await sources.others_go_on("beside the empty one")
    await sources.push("empty", "alive")
    await sources.house.everywhere("empty-app", "a", "alive", 60.0)
    await sources.works("empty")


async def test_a_source_that_turns_empty_deletes_nothing(sources: Sources) -> None:
    repository = sources.repositories["emptied"]
    files = repository.files(repository.head())
    sha = repository.commit(dict.fromkeys(files), message="everything gone")
    commit = await sources.house.commit_in(sha, ("failed",))
    assert [f["code"] for f in commit["failures"]] == ["KNR2105"]
    await sources.others_go_on("beside the emptied one")
    assert sources.house.values("emptied-app", "a") == dict.fromkeys(sources.house.plan.clusters, "first")
    await sources.push("emptied", "back")
    await sources.house.everywhere("emptied-app", "a", "back")


async def test_a_deleted_branch_keeps_what_it_brought(sources: Sources) -> None:
    repository = sources.repositories["branch"]
    at = repository.head()
    repository.branch("other", at)
    repository.delete_branch("main")
    await sources.fails_with("branch", "KNR1003")
    await sources.others_go_on("beside the deleted branch")
    assert sources.house.values("branch-app", "a") == dict.fromkeys(sources.house.plan.clusters, "first")
    repository.branch("main", at)
    await sources.push("branch", "second")
    await sources.house.everywhere("branch-app", "a", "second", 60.0)


async def test_a_git_host_that_is_away_holds_nobody_up(sources: Sources) -> None:
    await sources.away.stop()
    await sources.fails_with("away", "KNR1001")
    await sources.others_go_on("beside the unreachable one")
    assert sources.house.values("away-app", "a") == dict.fromkeys(sources.house.plan.clusters, "first")
    await sources.away.start()
    await sources.push("away", "second")
    await sources.house.everywhere("away-app", "a", "second", 60.0)
    await sources.works("away")


async def test_a_force_push_is_followed_although_its_commit_is_older(sources: Sources) -> None:
    repository = sources.repositories["forced"]
    first = repository.head()
    newest = await sources.push("forced", "second")
    await sources.house.everywhere("forced-app", "a", "second")
    repository.branch("main", first)
    await sources.house.everywhere("forced-app", "a", "first")
    commits = (await sources.house.ask("commits", source="forced"))["items"]
    assert [c["sha"] for c in commits] == [first, newest, first]
    rewritten = repository.commit({"apps/forced-app/a.yaml": config_map("a", "rewritten")}, parent=first)
    await sources.house.everywhere("forced-app", "a", "rewritten")
    assert (await sources.house.ask("commits", source="forced", limit="1"))["items"][0]["sha"] == rewritten


async def test_the_fleets_own_host_away_changes_nothing_until_it_is_back(sources: Sources) -> None:
    house = sources.house
    assignments = await house.last_sequence("ASSIGNMENTS")
    house.git.http.refuse_with = 503
    sha = await house.push(app_files("later", {"a": "after all"}))
    await sources.fails_with("fleet", "KNR1001")
    assert await house.last_sequence("ASSIGNMENTS") == assignments
    house.git.http.refuse_with = None
    await house.tell(sha)
    await house.commit_in(sha)
    await house.everywhere("later", "a", "after all")


async def test_a_webhook_with_a_wrong_signature_is_refused(shared: House) -> None:
    assert await shared.tell(shared.repository.git.head(), secret=b"guessed") == 401
    assert await shared.tell(shared.repository.git.head()) == 202


async def test_a_source_that_is_no_longer_listed_detaches(sources: Sources) -> None:
    house = sources.house
    listed = house.repository.text("fleet.yaml")
    entries = json.loads(listed.partition("sources: ")[2])
    shorter = [e for e in entries if e["name"] != "beside"]
    before = house.values("beside-app", "a")
    sha = await house.push({"fleet.yaml": listed.partition("sources: ")[0] + f"sources: {json.dumps(shorter)}\n"})
    await house.commit_in(sha)
    await sources.fails_with("beside", "KNR1024")
    assert house.values("beside-app", "a") == before
    await house.push({"fleet.yaml": listed})
    await sources.others_go_on("listed again")
