"""`knarr plan` from the command line to an agent and back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.tests.person import Person, api_of, until
from knarr.cli.commands.plan import plan

pytestmark = pytest.mark.timeout(180)


async def _plan(state: Path, *words: str) -> Result:
    return await asyncio.to_thread(lambda: CliRunner().invoke(plan, [*words, "--state", str(state)]))


async def test_a_plan_tells_what_another_revision_would_do_and_changes_nothing(person: Person) -> None:
    options = person.options(person.folder / "none", simulate=1)
    first = person.commit("quebec")
    async with person.up(options) as session:
        api = api_of(session)

        revisions: list[str] = []

        async def healthy_on(sha: str) -> bool:
            clusters = await asyncio.to_thread(lambda: api.items("clusters", expand="apps"))
            placed = [p for c in clusters for p in c["placements"] if p["commit"] is not None]
            found = [p["revision"] for p in placed if p["standing"] == "healthy" and p["commit"]["sha"] == sha]
            revisions.extend(found)
            return bool(found)

        await until("the first commit", lambda: healthy_on(first))
        second = person.commit("zulu")
        await until("the second commit", lambda: healthy_on(second))

        told = await _plan(options.state, "sim-1")
        assert told.exit_code == 0, (told.output, told.exception)
        assert told.output.startswith(person.namespace)
        assert "nothing to do (1 unchanged)" in told.output

        back = await _plan(options.state, "sim-1", person.namespace, "--revision", revisions[0], "-o", "json")
        assert back.exit_code == 0, (back.output, back.exception)
        (found,) = json.loads(back.output)
        assert [(s["action"], s["object"]) for s in found["steps"] if s["action"] != "wait"] == [
            ("configure", f"/ConfigMap/{person.namespace}/settings")
        ]
        assert "quebec" not in back.output, "values are masked"
        assert (await _plan(options.state, "sim-1")).output == told.output, "nothing was changed"
