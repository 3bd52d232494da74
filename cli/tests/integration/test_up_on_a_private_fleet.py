"""`knarr up` on a fleet repository that wants a login."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cli.tests.person import api_of, until
from knarr.cli.install.access import Access
from knarr.cli.install.fleet import find_fleet
from knarr.cli.install.session import UpOptions, installation
from knarr.local.git import GitServer
from knarr.pipeline.errors import KnarrError

TOKEN = "a-token-that-nobody-sees"
FILES: dict[str, str | bytes | None] = {
    "fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\nclusters: Enrolled\n",
    "hello/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n",
}


def login(folder: Path, url: str) -> Access:
    file = folder / "logins.yaml"
    file.write_text(f"credentials:\n  git: {{urls: ['{url}'], username: me, password: {TOKEN}}}\n")
    return Access(credentials_file=file, name="git")


async def test_a_private_fleet_is_followed_with_the_login_that_is_given(tmp_path: Path) -> None:
    async with GitServer(tmp_path / "git", token=TOKEN) as git:
        git.create("fleet").commit(FILES)
        said: list[str] = []
        options = UpOptions(
            fleet=git.http_url("fleet"),
            state=tmp_path / "state",
            kubeconfig=tmp_path / "none",
            simulate=1,
            poll=0.5,
            heartbeat_seconds=2.0,
            access=login(tmp_path, git.http_url("fleet")),
        )
        async with installation(options, said.append) as session:
            api = api_of(session)

            async def healthy() -> bool:
                clusters = await asyncio.to_thread(lambda: api.items("clusters", expand="apps"))
                return any(p["standing"] == "healthy" for c in clusters for p in c["placements"])

            await until("the app", healthy)
        assert TOKEN not in "".join(said)


async def test_the_clusters_of_a_private_fleet_are_known_before_anything_starts(tmp_path: Path) -> None:
    async with GitServer(tmp_path / "git", token=TOKEN) as git:
        git.create("fleet").commit({**FILES, "clusters/b.yaml": "name: beta\n", "clusters/a.yml": "x: ["})
        url = git.http_url("fleet")
        found = await asyncio.to_thread(find_fleet, url, "", login(tmp_path, url))
        assert (found.url, found.documented) == (url, ("a", "beta"))
        with pytest.raises(KnarrError) as refused:
            await asyncio.to_thread(find_fleet, url)
        assert refused.value.code == "KNR1004"
        assert TOKEN not in str(refused.value)
