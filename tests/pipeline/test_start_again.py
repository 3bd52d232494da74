"""`knarr up` started again on its state folder goes on where it was; a cluster that went silent turns Unknown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from knarr.cli.demo.fleet import Repository
from knarr.cli.install.identity import Identity
from knarr.local.git import GitServer
from tests.house import QUICK, House, Plan, app_files, config_map, house, running, until


async def _generations(made: House) -> dict[str, int]:
    rows = (await made.ask("clusters"))["items"]
    return {row["name"]: row["generation_applied"] for row in rows}


async def _heard_anew(made: House, starts: dict[str, int]) -> None:
    """Every agent has reported since it started again."""

    async def look() -> bool:
        rows = (await made.ask("clusters"))["items"]
        return all(row["agent_start_number"] > starts[row["name"]] for row in rows)

    await until("every agent being heard again", look)


async def test_the_same_state_folder_goes_on_and_writes_nothing_again(tmp_path: Path) -> None:
    plan = Plan(heartbeat_seconds=1.0)
    state = tmp_path / "state"
    async with GitServer(tmp_path / "git") as git:
        secret = Identity(state / "keys").webhook_secret_file.read_bytes()
        repository = Repository(git=git.create("fleet"), webhook_secret=secret)
        await repository.commit("The fleet", {**plan.files, **app_files("shop", {"a": "one", "b": "two"})})

        async with running(state, plan, git, repository) as first:
            await first.everywhere("shop", "a", "one")
            held = await first.push({"apps/shop/a.yaml": None, "apps/shop/b.yaml": None}, "empties it")
            await first.commit_in(held, ("held",))
            await first.push(app_files("beside", {"a": "one"}))
            await first.everywhere("beside", "a", "one")
            await first.at_rest()
            epoch = first.session.hub.identity.epoch
            generations = await _generations(first)
            starts = {r["name"]: r["agent_start_number"] for r in (await first.ask("clusters"))["items"]}
            versions = {c: (first.versions(c, "shop"), first.versions(c, "beside")) for c in plan.clusters}
            assignments = await first.last_sequence("ASSIGNMENTS")

        async with running(state, plan, git, repository) as second:
            await _heard_anew(second, starts)
            await second.at_rest()
            assert second.session.hub.identity.epoch == epoch
            now = await _generations(second)
            assert all(now[name] >= generation for name, generation in generations.items())
            assert {c: (second.versions(c, "shop"), second.versions(c, "beside")) for c in plan.clusters} == versions
            assert await second.last_sequence("ASSIGNMENTS") == assignments
            assert [r["app"] for r in (await second.ask("revisions", state="held"))["items"]] == ["shop"]
            await second.push({"apps/beside/a.yaml": config_map("a", "two")})
            await second.everywhere("beside", "a", "two")
            assert second.values("shop", "a") == dict.fromkeys(plan.clusters, "one")


async def test_commits_made_meanwhile_are_found_by_the_next_start(tmp_path: Path) -> None:
    plan, state = Plan(), tmp_path / "state"
    async with GitServer(tmp_path / "git") as git:
        secret = Identity(state / "keys").webhook_secret_file.read_bytes()
        repository = Repository(git=git.create("fleet"), webhook_secret=secret)
        await repository.commit("The fleet", {**plan.files, **app_files("shop", {"a": "one"})})
        async with running(state, plan, git, repository) as first:
            await first.everywhere("shop", "a", "one")
        for number in range(3):
            await repository.commit("meanwhile", {"apps/shop/a.yaml": config_map("a", f"meanwhile {number}")})
        async with running(state, plan, git, repository) as second:
            await second.everywhere("shop", "a", "meanwhile 2")


async def test_a_cluster_that_went_silent_turns_unknown_by_the_hubs_clock(tmp_path: Path) -> None:
    patience = {"KNARR_REPORT_INTERVAL_SECONDS": "1", "KNARR_MISSED_REPORTS": "2"}
    plan = Plan(apart=frozenset({"prod-2"}), heartbeat_seconds=0.5, environment={**QUICK, **patience})
    async with house(tmp_path, plan) as made:
        await made.pushed(app_files("shop", {"a": "one"}))
        await made.part("agent-prod-2").process.kill()

        async def silent() -> dict[str, Any] | None:
            row: dict[str, Any] = await made.ask("clusters/prod-2")
            return row if row["standing"] == "unknown" else None

        row = await until("prod-2 being unknown", silent)
        assert row["silent"]
        assert row["age_ms"] > 2_000
        assert {p["standing"] for p in row["placements"]} == {"unknown"}
        assert made.value("prod-2", "shop", "a") == "one"
        assert (await made.ask("clusters/dev"))["standing"] == "healthy"
        told = await made.ask("explain", cluster="prod-2", app="shop")
        assert "prod-2" in told["sentence"]

        await made.part("agent-prod-2").start()
        await made.at_rest()
