"""Somebody who runs `knarr up` on this machine: their kubeconfig, their fleet repository, what they see and do."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from knarr.cli.api import Api
from knarr.cli.install.session import Session, UpOptions, installation
from knarr.local.git import GitRepository
from knarr.local.kube import KubeCluster

_FLEET = "apiVersion: knarr.dev/v1\nkind: Fleet\nname: home\nclusters: Enrolled\n"
_APP = "apiVersion: knarr.dev/v1\nkind: App\nnamespace: {namespace}\n"
_numbers = itertools.count(1)


@dataclass(slots=True, kw_only=True)
class Person:
    """`namespace` is this test's own: clusters are shared. `said`: what the terminal showed."""

    folder: Path
    repository: GitRepository
    namespace: str
    said: list[str] = field(default_factory=list)
    # Further lines of the app's knarr.yaml.
    policy: str = ""
    # Further files of the app.
    manifests: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def at(folder: Path) -> Person:
        """With a first commit."""
        namespace = f"home-{next(_numbers)}"
        person = Person(folder=folder, repository=GitRepository.create(folder / "fleet.git"), namespace=namespace)
        person.commit("first")
        return person

    def commit(self, value: str) -> str:
        """The app's ConfigMap gets a new value."""
        return self.repository.commit(self.files(value), message=value)

    def files(self, value: str) -> dict[str, str]:
        """The fleet: one app called like the namespace."""
        app = f"apps/{self.namespace}"
        manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  value: {value}\n"
        return {
            "fleet.yaml": _FLEET,
            f"{app}/knarr.yaml": _APP.format(namespace=self.namespace) + self.policy,
            f"{app}/settings.yaml": manifest,
            **{f"{app}/{name}": text for name, text in self.manifests.items()},
        }

    def kubeconfig(self, **contexts: KubeCluster) -> Path:
        """One file with these contexts; their names in capitals and with an underscore, as people have them."""
        parts: dict[str, list[Any]] = {"clusters": [], "users": [], "contexts": []}
        for name, cluster in contexts.items():
            single = json.loads(cluster.kubeconfig.read_text())
            for kind in ("clusters", "users"):
                parts[kind].append({**single[kind][0], "name": name})
            parts["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **parts}))
        path.chmod(0o600)
        return path

    def options(self, kubeconfig: Path, *contexts: str, state: str = "state", **more: Any) -> UpOptions:
        """As the command line would be read."""
        return UpOptions(
            fleet=str(self.repository.path),
            state=self.folder / state,
            kubeconfig=kubeconfig,
            contexts=contexts,
            poll=0.5,
            heartbeat_seconds=2.0,
            **more,
        )

    @asynccontextmanager
    async def up(self, options: UpOptions) -> AsyncIterator[Session]:
        """`knarr up` in this process."""
        async with installation(options, self.said.append) as session:
            yield session

    async def value_in(self, cluster: KubeCluster) -> str | None:
        """What the app's ConfigMap holds there now; None when it is not there."""
        _, found = await cluster.request("GET", f"/api/v1/namespaces/{self.namespace}/configmaps/settings")
        value: str | None = found.get("data", {}).get("value")
        return value

    async def arrives(self, value: str, *clusters: KubeCluster) -> None:
        """Waits until every one of them has it."""
        for cluster in clusters:
            await until(f"{value!r} in {cluster.name}", partial(self._has, cluster, value))

    async def _has(self, cluster: KubeCluster, value: str) -> bool:
        return await self.value_in(cluster) == value


def api_of(session: Session) -> Api:
    """As the commands ask it."""
    return Api(base=session.hub.page_url, token=session.hub.identity.token_file.read_text())


async def cluster_row(session: Session, name: str) -> dict[str, Any]:
    """A cluster as the API tells it."""
    found: dict[str, Any] = await asyncio.to_thread(api_of(session).get, f"clusters/{name}")
    return found


async def until(what: str, holds: Callable[[], Awaitable[bool]], seconds: float = 45.0) -> None:
    """Fails when it does not come to hold in time."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(0.05)
