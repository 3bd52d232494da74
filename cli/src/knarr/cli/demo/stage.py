"""The demo as a whole: clusters, Git host, installation; then the story; then it stays until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

from knarr.cli.api import Api
from knarr.cli.demo.clusters import Clusters, real_clusters, simulated_clusters
from knarr.cli.demo.fleet import Repository, cluster_names, example_files, fleet_documents
from knarr.cli.demo.narrator import Narrator, shown
from knarr.cli.demo.story import OFFLINE, Story, tell
from knarr.cli.demo.watching import Watcher
from knarr.cli.install.identity import Identity
from knarr.cli.install.session import Session, UpOptions, installation, until_stopped
from knarr.local.git import GitServer


async def run_demo(state: Path, *, once: bool, real: bool) -> None:
    """Everything from nothing, in a fresh state folder."""
    narrator = Narrator()
    _fresh(state)
    files = example_files()
    names = cluster_names(files)
    async with AsyncExitStack() as stack:
        narrator.chapter(f"Starting {len(names)} {'real' if real else 'simulated'} clusters and the hub")
        made = (
            real_clusters(state / "kube", names, narrator.live)
            if real
            else simulated_clusters(state / "clusters", names)
        )
        clusters = await stack.enter_async_context(made)
        server = await stack.enter_async_context(GitServer(state / "git"))
        git = server.create("shop")
        repository = Repository(git=git, webhook_secret=Identity(state / "keys").webhook_secret_file.read_bytes())
        await repository.commit("A fleet of a dozen clusters", fleet_documents(files))
        options = _options(state, server.http_url("shop"), clusters)
        session = await stack.enter_async_context(installation(options, narrator.fact))
        narrator.to_copy("page", session.hub.page_url)
        api = Api(base=session.hub.page_url, token=session.hub.identity.token_file.read_text().strip())
        story = Story(
            clusters=clusters,
            repository=repository,
            session=session,
            narrator=narrator,
            watcher=Watcher(api, narrator, str(state)),
            files=files,
        )
        await _tell_watched(story, session, narrator)
        if once:
            return
        narrator.chapter("The story is over; everything stays up until Ctrl-C")
        narrator.to_copy("page", session.hub.page_url)
        narrator.to_copy("status", f"knarr status --state {shown(state)}")
        if look := clusters.how_to_look():
            narrator.to_copy("clusters", look)
        narrator.to_copy("git", f"git clone {server.http_url('shop')}   # push, and watch")
        await until_stopped(session, narrator.fact)
        narrator.chapter("Stopping")


def _fresh(state: Path) -> None:
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True, mode=0o700)


def _options(state: Path, url: str, clusters: Clusters) -> UpOptions:
    return UpOptions(
        fleet=url,
        state=state,
        kubeconfig=state / "none",
        clusters=clusters.local,
        apart=frozenset({OFFLINE}),
        poll=5.0,
    )


async def _tell_watched(story: Story, session: Session, narrator: Narrator) -> None:
    """The story, while every part is watched: one that dies is named and started again."""
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(watch) for watch in session.watches(narrator.fact, but=OFFLINE)]
        try:
            await tell(story)
        finally:
            for task in watching:
                task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
