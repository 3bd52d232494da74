"""A commit with something wrong in it: a number in the right place, the last good state kept, the rest goes on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.house import Files, House, app_files, config_map, until

pytestmark = pytest.mark.asyncio(loop_scope="session")
_KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
_TWENTY_MEGABYTES = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata:\n" + "".join(
    f"  key-{n}: {'x' * 100}\n" for n in range(180_000)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """What is put into the folder of an app that was good, and the number that this gets."""

    what: str
    code: str
    files: Files


BAD = (
    Bad(what="malformed-yaml", code="KNR2001", files={"a.yaml": "a: [1\nb: }\n"}),
    Bad(
        what="unknown-key",
        code="KNR2010",
        files={"knarr.yaml": "apiVersion: knarr.dev/v1\nkind: App\nname: unknown-key\nnamespaec: shop\n"},
    ),
    Bad(
        what="missing-base",
        code="KNR2305",
        files={"kustomization.yaml": _KUSTOMIZATION + "resources: [../../bases/nowhere]\n"},
    ),
    Bad(what="duplicate-objects", code="KNR2502", files={"again.yaml": config_map("a", "twice")}),
    Bad(what="twenty-megabytes", code="KNR2002", files={"big.yaml": _TWENTY_MEGABYTES}),
    Bad(what="not-an-object", code="KNR2501", files={"a.yaml": "just: words\n"}),
    Bad(what="a-list-where-a-name-goes", code="KNR2501", files={"a.yaml": "- kind: ConfigMap\n"}),
    Bad(
        what="plain-secret",
        code="KNR2504",
        files={"s.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n"},
    ),
    Bad(
        what="remote-base",
        code="KNR2303",
        files={"kustomization.yaml": _KUSTOMIZATION + "resources: ['https://example.test/base.yaml']\n"},
    ),
)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.what)
async def test_a_bad_app_keeps_its_last_good_state_and_harms_no_other(shared: House, bad: Bad) -> None:
    folder, beside = f"apps/{bad.what}", f"beside-{bad.what}"
    good = app_files(bad.what, {"a": "good", "b": "good"})
    await shared.pushed({**good, **app_files(beside, {"a": "before"})})
    before = {c: shared.versions(c, bad.what) for c in shared.plan.clusters}

    spoilt = {f"{folder}/{name}": content for name, content in bad.files.items()}
    sha = await shared.push({**spoilt, f"apps/{beside}/a.yaml": config_map("a", "after")})
    commit = await shared.commit_in(sha, ("failed",))
    assert commit["failed"] == [{"app": bad.what, "code": bad.code}]
    await shared.everywhere(beside, "a", "after")
    told = await shared.ask(f"apps/{bad.what}")
    assert [f["code"] for f in told["render_failures"]][:1] == [bad.code]
    assert told["render_failures"][0]["next_step"]
    assert {c: shared.versions(c, bad.what) for c in shared.plan.clusters} == before

    mended = {**{path: good.get(path) for path in spoilt}, f"{folder}/a.yaml": config_map("a", "mended")}
    await shared.pushed(mended)
    assert shared.values(bad.what, "a") == dict.fromkeys(shared.plan.clusters, "mended")


async def test_what_is_plain_in_a_secret_is_told_to_nobody(shared: House) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: correct-horse-battery}\n"
    await shared.pushed(app_files("hush", {"a": "good"}))
    sha = await shared.push({"apps/hush/s.yaml": secret})
    await shared.commit_in(sha, ("failed",))
    app = await shared.ask("apps/hush")
    assert app["render_failures"]
    assert "correct-horse" not in str((app, await shared.ask(f"commits/fleet/{sha}"), await shared.ask("events")))
    await shared.pushed({"apps/hush/s.yaml": None})


async def test_an_app_that_renders_to_nothing_is_held_and_its_objects_stay(shared: House) -> None:
    await shared.pushed({**app_files("emptied", {"a": "good"}), **app_files("beside-emptied", {"a": "before"})})
    sha = await shared.push(
        {"apps/emptied/a.yaml": None, "apps/beside-emptied/a.yaml": config_map("a", "after")}, "empties an app"
    )
    commit = await shared.commit_in(sha, ("held",))
    assert commit["held"] == ["emptied"]
    held = [r for r in (await shared.ask("revisions", state="held"))["items"] if r["app"] == "emptied"]
    assert [r["code"] for r in held[0]["reasons"]] == ["KNR3002"]
    await shared.everywhere("beside-emptied", "a", "after")
    assert shared.values("emptied", "a") == dict.fromkeys(shared.plan.clusters, "good")
    await shared.pushed({"apps/emptied/a.yaml": config_map("a", "good")}, "mends it")


async def test_an_object_claimed_by_two_apps_stays_with_the_first(shared: House) -> None:
    await shared.pushed(app_files("holder", {"a": "held by the first"}))
    document = "apiVersion: knarr.dev/v1\nkind: App\nname: claimant\nnamespace: holder\n"
    stolen: Files = {"apps/claimant/knarr.yaml": document, "apps/claimant/a.yaml": config_map("a", "stolen")}
    await shared.push({**stolen, **app_files("beside-claim", {"a": "good"})})
    await shared.everywhere("beside-claim", "a", "good")

    async def refused() -> list[str] | None:
        app = await shared.ask("apps/claimant")
        return [f["code"] for f in app["decision_failures"]] or None

    assert await until("the second claim being refused", refused) == ["KNR3010"]
    assert shared.values("holder", "a") == dict.fromkeys(shared.plan.clusters, "held by the first")
    await shared.pushed(dict.fromkeys(stolen))


async def test_two_apps_of_one_name_leave_the_name_with_its_holder(shared: House) -> None:
    await shared.pushed(app_files("named", {"a": "the first"}))
    second = app_files("named", {"a": "the second"}, folder="apps/other-named")
    sha = await shared.push({**second, **app_files("beside-named", {"a": "good"})})
    commit = await shared.commit_in(sha, ("failed",))
    assert [f["code"] for f in commit["failures"]] == ["KNR2018"]
    await shared.everywhere("beside-named", "a", "good")
    assert shared.values("named", "a") == dict.fromkeys(shared.plan.clusters, "the first")
    await shared.pushed(dict.fromkeys(second))


async def test_a_fleet_file_that_cannot_be_read_changes_nothing(shared: House) -> None:
    good = shared.repository.text("fleet.yaml")
    await shared.pushed(app_files("steady", {"a": "good"}))
    assignments = await shared.last_sequence("ASSIGNMENTS")
    sha = await shared.push({"fleet.yaml": "kind: [\n", "apps/steady/a.yaml": config_map("a", "unseen")})
    commit = await shared.commit_in(sha, ("failed",))
    assert [f["code"] for f in commit["failures"]] == ["KNR2001"]
    assert await shared.last_sequence("ASSIGNMENTS") == assignments
    assert shared.values("steady", "a") == dict.fromkeys(shared.plan.clusters, "good")
    await shared.pushed({"fleet.yaml": good})
    assert shared.values("steady", "a") == dict.fromkeys(shared.plan.clusters, "unseen")


async def test_a_wrong_cluster_document_detaches_nobody(shared: House) -> None:
    good = shared.repository.text("clusters/prod-2.yaml")
    await shared.pushed(app_files("attached", {"a": "good"}))
    sha = await shared.push(
        {"clusters/prod-2.yaml": good + "lables: {}\n", "apps/attached/a.yaml": config_map("a", "new")}
    )
    commit = await shared.commit_in(sha, ("failed",))
    assert [f["code"] for f in commit["failures"]] == ["KNR2010"]
    cluster = await shared.ask("clusters/prod-2")
    assert cluster["member"]
    assert shared.value("prod-2", "attached", "a") is not None
    await shared.pushed({"clusters/prod-2.yaml": good})
    await shared.everywhere("attached", "a", "new")
