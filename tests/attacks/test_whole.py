"""The worst of what was done, done again to a whole installation: Git, broker, database, services, agents (I1, I2).

Each attack has an app of its own; what counts is what the clusters hold in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from knarr.cli.api import Api
from knarr.pipeline.errors import KnarrError
from tests.house import SETTLED, Files, House, Plan, Row, app_files, config_map, fleet_files, house

pytestmark = pytest.mark.asyncio(loop_scope="module")
MAPS = {f"m{n}": "here" for n in range(10)}
LOOSE = "guards:\n  maxLostShare: 1\n  holdRemoval: false\n  holdProtected: false\n  maxClustersLeftShare: 1\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    files = {**fleet_files(), **app_files("stays", {"s": "1"})}  # a source without any app concludes nothing
    plan = Plan(files=files, heartbeat_seconds=1.0)
    async with house(tmp_path_factory.mktemp("attacked"), plan) as found:
        yield found


async def held(made: House, app: str) -> Row:
    """The app's held revision."""
    items = (await made.ask("revisions", state="held", app=app))["items"]
    assert items, f"no revision of {app} is held"
    return dict(items[0])


async def approve(made: House, revision: Row, evidence: str = "") -> None:
    """As the page does, with what it showed."""
    api = Api(base=made.session.hub.page_url, token=made.session.hub.identity.token_file.read_text())
    body = {"actor": "ann", "reason": "meant", "evidence": evidence or revision["held"]["evidence"]}
    await asyncio.to_thread(api.post, f"revisions/{revision['revision']}/approve", body)


def without(app: str) -> Files:
    """The app's folder is gone."""
    return dict.fromkeys(app_files(app, MAPS))


def holds_all(made: House, app: str) -> bool:
    """Whether every cluster has every object of the app."""
    return all(made.names(cluster, app) == MAPS.keys() for cluster in made.plan.clusters)


async def test_a_removal_that_was_approved_once(made: House) -> None:
    """Removal approved, app gone, reverted, removed again: 24 objects went unasked."""
    await made.pushed(app_files("once", MAPS))
    await made.everywhere("once", "m0", "here")
    await made.commit_in(await made.push(without("once")), ("held",))
    await approve(made, await held(made, "once"))
    for name in MAPS:
        for cluster in made.plan.clusters:
            await _gone(made, cluster, "once", name)
    await made.pushed(app_files("once", MAPS))
    await made.everywhere("once", "m9", "here")
    await made.commit_in(await made.push(without("once")), ("held",))
    await made.pushed(app_files("beside", {"b": "1"}))
    assert holds_all(made, "once")


async def _gone(made: House, cluster: str, app: str, name: str) -> None:
    async with asyncio.timeout(30):
        while made.value(cluster, app, name) is not None:  # noqa: ASYNC110 - a journal on disk has no event
            await asyncio.sleep(0.05)


async def test_guards_loosened_in_the_commit_that_deletes(made: House) -> None:
    """48 objects went, PVC and Namespace too."""
    await made.pushed(app_files("loosened", MAPS))
    fleet = str(fleet_files()["fleet.yaml"])
    await made.commit_in(await made.push({**without("loosened"), "fleet.yaml": fleet + LOOSE}), ("held",))
    events = (await made.ask("events", limit="100"))["items"]
    assert "KNR3007" in {e["code"] for e in events}, "loosening is itself told"
    await made.commit_in(await made.push({"fleet.yaml": fleet}), (*SETTLED, "held"))
    await held(made, "loosened")
    assert holds_all(made, "loosened")


async def test_existing_objects_annotated_as_hooks(made: House) -> None:
    """`commonAnnotations: {helm.sh/hook: pre-upgrade}` does it by accident: ten ConfigMaps of an app went."""
    await made.pushed(app_files("hooked", MAPS))
    await made.everywhere("hooked", "m0", "here")
    listed = "".join(f"- {name}.yaml\n" for name in MAPS)
    kustomization = (
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"resources:\n{listed}commonAnnotations:\n  helm.sh/hook: pre-upgrade\n"
    )
    await made.commit_in(await made.push({"apps/hooked/kustomization.yaml": kustomization}), ("held",))
    assert holds_all(made, "hooked")
    revision = await held(made, "hooked")
    assert revision["losses"][0]["object_count"] == len(MAPS)


async def test_an_approval_of_what_was_shown_before(made: House) -> None:
    """The page of yesterday approves nothing."""
    await made.pushed(app_files("shown", MAPS))
    await made.commit_in(await made.push({f"apps/shown/m{n}.yaml": None for n in range(3)}), ("held",))
    with pytest.raises(KnarrError, match="KNR3032"):
        await approve(made, await held(made, "shown"), evidence="ab" * 32)
    assert holds_all(made, "shown")


async def test_slices_that_each_pass(made: House) -> None:
    """Two of ten, four times, seconds apart: 32 of 40 went."""
    await made.pushed(app_files("sliced", MAPS))
    await made.pushed({f"apps/sliced/m{n}.yaml": None for n in (0, 1)})
    await made.at_rest()
    await made.commit_in(await made.push({f"apps/sliced/m{n}.yaml": None for n in (2, 3)}), ("held",))
    for cluster in made.plan.clusters:
        assert made.names(cluster, "sliced") == {f"m{n}" for n in range(2, 10)}


async def test_moved_to_a_large_app_and_dropped_there(made: House) -> None:
    """Nine of ten objects moved, then dropped among many: 36 went."""
    large = {f"big{n}": "here" for n in range(60)}
    files = app_files("large", large)
    files["apps/large/knarr.yaml"] = str(files["apps/large/knarr.yaml"]).replace(
        "namespace: large", "namespace: moving"
    )
    await made.pushed({**app_files("moving", MAPS), **files})
    moved = {name for name in MAPS if name != "m0"}
    away: Files = {f"apps/moving/{name}.yaml": None for name in moved}
    there: Files = {f"apps/large/{name}.yaml": config_map(name, "here") for name in moved}
    await made.pushed({**away, **there})
    await made.commit_in(await made.push(dict.fromkeys(there)), ("held",))
    for cluster in made.plan.clusters:
        assert made.names(cluster, "moving") >= MAPS.keys()
