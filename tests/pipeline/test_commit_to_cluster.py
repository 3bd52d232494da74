"""What every commit does, and what costs nothing."""

from __future__ import annotations

import pytest

from tests.house import House, Row, app_files, config_map, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_commit_reaches_every_cluster_and_the_api_says_so(shared: House) -> None:
    sha = await shared.pushed(app_files("first", {"a": "one", "b": "two"}))
    assert shared.values("first", "a") == dict.fromkeys(shared.plan.clusters, "one")
    told = await shared.ask(f"commits/fleet/{sha}")
    [app] = [a for a in told["apps"] if a["app"] == "first"]
    assert app["on"]["healthy"] == len(shared.plan.clusters)
    assert {s["stage"] for s in told["stages"] if s["seconds"] is not None} == {
        "fetch", "snapshot", "render", "decide", "deliver", "apply", "healthy",
    }  # fmt: skip


async def test_a_commit_that_changes_no_app_sends_no_cluster_anything(shared: House) -> None:
    await shared.pushed(app_files("still", {"a": "one"}))
    await shared.at_rest()
    assignments, blobs = await shared.last_sequence("ASSIGNMENTS"), await shared.last_sequence("BLOBS")
    reports = await shared.last_sequence("REPORTS")
    before = {c: shared.versions(c, "still") for c in shared.plan.clusters}
    sha = await shared.push({"README.md": "words\n"})
    await shared.commit_in(sha, ("unchanged",))
    commit = await until("what rendering it cost", lambda: rendered(shared, sha))
    assert (commit["render"]["renders"], commit["render"]["blobs"], commit["deliveries"]["total"]) == (0, 0, 0)
    assert await shared.last_sequence("ASSIGNMENTS") == assignments
    assert await shared.last_sequence("BLOBS") == blobs
    assert await shared.last_sequence("REPORTS") == reports
    assert {c: shared.versions(c, "still") for c in shared.plan.clusters} == before


async def test_only_what_changed_is_written(shared: House) -> None:
    await shared.pushed(app_files("partly", {"a": "one", "b": "two"}))
    before = {c: shared.versions(c, "partly") for c in shared.plan.clusters}
    await shared.pushed({"apps/partly/a.yaml": config_map("a", "three")})
    after = {c: shared.versions(c, "partly") for c in shared.plan.clusters}
    assert all(after[c]["b"] == before[c]["b"] and after[c]["a"] != before[c]["a"] for c in shared.plan.clusters)


async def rendered(shared: House, sha: str) -> Row | None:
    """The commit once the renderer's word is read too: it comes by another way than rollout's."""
    items = (await shared.ask("commits", sha=sha, limit="1"))["items"]
    return items[0] if items and items[0]["render"]["renders"] is not None else None
