"""The story that the demo tells: ordinary commits, a few ordinary troubles, and the accident at the end.

Every step waits for what the API says and checks the clusters themselves where it claims something of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from knarr.cli.demo.clusters import Clusters
from knarr.cli.demo.fleet import Repository
from knarr.cli.demo.narrator import Narrator, shown
from knarr.cli.demo.watching import Row, Watcher, fleet_line, losses
from knarr.cli.install.session import Session
from knarr.cli.tables import span
from knarr.pipeline.errors import rejected

OFFLINE = "prod-us-4"
_EDITED = "dev-1"
_BROKEN = "staging-eu"
_PATIENCE_SECONDS = 5.0
_DONE = ("healthy", "unchanged")


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Who and what takes part. `files` are the example's."""

    clusters: Clusters
    repository: Repository
    session: Session
    narrator: Narrator
    watcher: Watcher
    files: dict[str, str]

    async def commit(self, message: str, files: dict[str, str | None]) -> str:
        """Pushed, and told to the fetcher by webhook."""
        sha = await self.repository.commit(message, files, self.session.hub.webhook_url)
        self.narrator.fact(f"pushed {sha[:10]}  {message}")
        return sha


async def tell(story: Story) -> None:
    """All of it. KNR6220 when a step does not come true."""
    await _first_commit(story)
    await _ordinary_change(story)
    await _hand_edit(story)
    await _offline(story)
    await _failing_app(story)
    await _accident(story)
    await _converged(story)


async def _first_commit(story: Story) -> None:
    total = len(story.clusters.local)

    async def enrolled() -> bool:
        clusters = (await story.watcher.ask("clusters", limit="1000"))["items"]
        return sum(1 for c in clusters if c["member"] and c["heard_at_ms"]) == total

    await story.watcher.until("every cluster enrolling", enrolled)
    story.narrator.fact(f"{total} agents have dialled out and enrolled")
    story.narrator.chapter(f"The first commit goes to {total} clusters")
    apps: dict[str, str | None] = {n: t for n, t in story.files.items() if n.startswith("apps/")}
    sha = await story.commit("The shop: five apps", apps)
    await story.watcher.commit(sha, _DONE, seconds=120)
    story.narrator.fact(fleet_line(await story.watcher.ask("summary")), colour="green")


async def _ordinary_change(story: Story) -> None:
    story.narrator.chapter("An ordinary change: a new setting for the web app")
    settings = story.repository.text("apps/web/settings.yaml")
    sha = await story.commit(
        "web: banner for the autumn sale", {"apps/web/settings.yaml": settings + "  sale: autumn\n"}
    )
    await story.watcher.commit(sha, _DONE)


async def _hand_edit(story: Story) -> None:
    story.narrator.chapter(f"Somebody scales web by hand in {_EDITED}")
    before = await story.clusters.replicas(_EDITED, "web", "shop")
    await story.clusters.scale_by_hand(_EDITED, "web", "shop", 7)
    edited = time.monotonic()
    seen = False

    async def healed() -> bool:
        nonlocal seen
        now = await story.clusters.replicas(_EDITED, "web", "shop")
        seen = seen or now == 7
        drift = (await story.watcher.placement(_EDITED, "web", ("healthy", "progressing")))["drift"]
        return now == before and (seen or bool(drift))

    await story.watcher.until("the hand edit being healed", healed)
    story.narrator.fact(f"healed after {span(time.monotonic() - edited)}: {before} replicas again", colour="green")


async def _offline(story: Story) -> None:
    story.narrator.chapter(f"{OFFLINE} is offline while a commit goes out")
    agent = next(part for part in story.session.agents if OFFLINE in part.name)
    await agent.stop()
    settings = story.repository.text("apps/web/settings.yaml")
    sha = await story.commit(
        "web: banner for the winter sale", {"apps/web/settings.yaml": settings.replace("autumn", "winter")}
    )
    total = len(story.clusters.local)

    async def others() -> bool:
        commit = (await story.watcher.ask(f"commits/fleet/{sha}"))["apps"]
        return any(a["app"] == "web" and a["on"]["healthy"] == total - 1 for a in commit)

    await story.watcher.until("the other clusters taking the commit", others)
    story.narrator.fact(f"{total - 1} of {total} clusters are on it; nothing waits for {OFFLINE}")
    await agent.start()
    back = time.monotonic()
    await story.watcher.commit(sha, _DONE)
    story.narrator.fact(f"{OFFLINE} came back and caught up within {span(time.monotonic() - back)}", colour="green")


async def _failing_app(story: Story) -> None:
    story.narrator.chapter(f"A release of catalog whose image is missing in {_BROKEN}")
    sha = await story.commit("catalog: 3.2.0", _release(story, "3.2.0-missing", "image-pull"))
    found = await _with_reason(story)
    story.narrator.fact(f"{_BROKEN}/catalog is {found['standing']}: {found['reason']}", colour="red")
    story.narrator.fact("every other cluster goes on")
    sha = await story.commit("catalog: 3.2.0 in staging, too", _release(story, "3.2.0", "ready"))
    await story.watcher.commit(sha, _DONE)


async def _with_reason(story: Story) -> dict[str, str]:
    """The agent first tells what waits, and, once it has looked at the pods, why: the last word of a few seconds."""
    asked = time.monotonic()

    async def look() -> dict[str, str] | None:
        placements = (await story.watcher.ask(f"clusters/{_BROKEN}"))["placements"]
        found = next(p for p in placements if p["app"] == "catalog")
        texts = [f["message"] for f in found["failures"]] + [u.get("message", "") for u in found["unhealthy"]]
        told = [text for text in texts if text]
        why = [text for text in told if "image" in text]
        patience_ended = time.monotonic() - asked > _PATIENCE_SECONDS
        if why or (told and patience_ended):
            return {"standing": found["standing"], "reason": (why or told)[0]}
        return None

    told: dict[str, str] = await story.watcher.until("the agent telling what is wrong", look)
    return told


def _release(story: Story, staging_version: str, staging_fate: str) -> dict[str, str | None]:
    """catalog with its version as a variable, and what staging-eu gets."""
    document = story.files["apps/catalog/knarr.yaml"].rstrip("\n")
    manifest = story.files["apps/catalog/catalog.yaml"]
    labels = "      labels:\n        app.kubernetes.io/name: catalog\n"
    return {
        "apps/catalog/knarr.yaml": _with_variables(document),
        "apps/catalog/catalog.yaml": manifest.replace(":3.1.4", ":${version}").replace(
            labels, labels + "      annotations:\n        knarr.dev/fate: ${fate}\n"
        ),
        f"clusters/{_BROKEN}.yaml": story.files[f"clusters/{_BROKEN}.yaml"].rstrip("\n")
        + f"\n  version: {staging_version}\n  fate: {staging_fate}\n",
    }


def _with_variables(document: str) -> str:
    return document.replace("variables:\n", "variables:\n  version: 3.2.0\n  fate: ready\n") + "\n"


async def _accident(story: Story) -> None:
    story.narrator.chapter("The accident: a kustomization.yaml that lists one of monitoring's fifteen manifests")
    before = {c.name: await story.clusters.names_in(c.name, "monitoring") for c in story.clusters.local}
    listed = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [collector-config.yaml]\n"
    sha = await story.commit("monitoring: start using kustomize", {"apps/monitoring/kustomization.yaml": listed})
    await story.watcher.commit(sha, ("held",))
    held = await _held(story)
    story.narrator.fact(f"HELD before anything was sent: {held['held']['headline']}", colour="yellow")
    for reason in held["reasons"]:
        story.narrator.fact(f"{reason['code']} {reason['message']}")
    story.narrator.fact(losses(held))
    story.narrator.to_copy("or", f"knarr approve {held['short']} --state {shown(story.session.place.folder)}")

    story.narrator.chapter("An unrelated commit goes out; the held revision stays held")
    settings = story.repository.text("apps/web/settings.yaml")
    unrelated = await story.commit("web: no more sale", {"apps/web/settings.yaml": settings.replace("winter", "none")})
    await story.watcher.commit(unrelated, _DONE)
    if (await _held(story))["revision"] != held["revision"]:
        raise rejected("KNR6220", "the held revision changed with an unrelated commit")

    story.narrator.chapter("The revert passes")
    revert = await story.commit("Revert: start using kustomize", {"apps/monitoring/kustomization.yaml": None})
    await story.watcher.commit(revert, _DONE)
    after = {c.name: await story.clusters.names_in(c.name, "monitoring") for c in story.clusters.local}
    missing = {name: sorted(before[name] - after[name]) for name in before if before[name] - after[name]}
    if missing:
        raise rejected("KNR6220", f"objects were deleted although the revision was held: {missing}")
    story.narrator.fact(f"nothing was deleted in any of {len(before)} clusters", colour="green")


async def _held(story: Story) -> Row:
    async def look() -> Row | None:
        items = (await story.watcher.ask("revisions", state="held"))["items"]
        return next((r for r in items if r["app"] == "monitoring"), None)

    found: Row = await story.watcher.until("the revision being held", look)
    return found


async def _converged(story: Story) -> None:
    async def look() -> object:
        summary = await story.watcher.ask("summary")
        healthy = summary["clusters"]["standings"].get("healthy", 0)
        return summary if healthy == len(story.clusters.local) and not summary["held"] else None

    summary = await story.watcher.until("every cluster being healthy", look)
    story.narrator.chapter("Every cluster runs what Git says")
    story.narrator.fact(fleet_line(summary), colour="green")
