"""A whole installation to test: Git host, broker, database, all services and agents as real processes.

What it shows is state: answers of the API, objects in the (simulated) clusters, messages in the streams. Tests wait for
conditions, with deadlines; none sleeps, none reads a log.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from knarr.agent.adapters.simulated import outside
from knarr.agent.adapters.simulated.objects import Objects
from knarr.cli.api import Api
from knarr.cli.demo.fleet import Repository
from knarr.cli.install.clusters import LocalCluster
from knarr.cli.install.identity import ADMIN, Identity
from knarr.cli.install.parts import Part
from knarr.cli.install.session import Session, UpOptions, installation
from knarr.local.git import GitServer
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.pipeline.errors import KnarrError

T = TypeVar("T")
Row = dict[str, Any]
Files = dict[str, str | None]
SETTLED = ("healthy", "unchanged")
CLUSTERS = ("dev", "prod-1", "prod-2")
_LOOK_SECONDS = 0.05
# What is checked every half minute in earnest is checked every second here.
QUICK = {
    "KNARR_CHECK_SECONDS": "1",
    "KNARR_AUDIT_SECONDS": "1",
    "KNARR_FACTS_SECONDS": "1",
    "KNARR_UNKNOWN_SECONDS": "3",
}


def fleet_files(clusters: tuple[str, ...] = CLUSTERS) -> Files:
    """fleet.yaml and the clusters; the label `env` is a name's first word."""
    documents: Files = {"fleet.yaml": "apiVersion: knarr.dev/v1\nkind: Fleet\nname: tested\n"}
    for name in clusters:
        env = name.partition("-")[0]
        documents[f"clusters/{name}.yaml"] = (
            f"apiVersion: knarr.dev/v1\nkind: Cluster\nname: {name}\nlabels:\n  env: {env}\n"
        )
    return documents


def app_files(name: str, maps: Mapping[str, str], folder: str = "") -> Files:
    """A plain app in the namespace of its name: a ConfigMap per entry of `maps`, each with its text as `value`."""
    root = folder or f"apps/{name}"
    files: Files = {f"{root}/knarr.yaml": f"apiVersion: knarr.dev/v1\nkind: App\nname: {name}\nnamespace: {name}\n"}
    return {**files, **{f"{root}/{key}.yaml": config_map(key, value) for key, value in maps.items()}}


def config_map(name: str, value: str) -> str:
    """A ConfigMap's manifest."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  value: {value!r}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a house is to be built. `files`: the first commit."""

    clusters: tuple[str, ...] = CLUSTERS
    apart: frozenset[str] = frozenset()
    files: Files = field(default_factory=fleet_files)
    poll: float = 1.0
    heartbeat_seconds: float = 60.0
    environment: Mapping[str, str] = field(default_factory=lambda: QUICK)


@dataclass(slots=True, kw_only=True)
class House:
    """A running installation, its Git host, and the eyes and hands of a test."""

    plan: Plan
    state: Path
    git: GitServer
    repository: Repository
    session: Session
    broker: Broker

    # --- Git ---------------------------------------------------------------------

    async def push(self, files: Files, message: str = "a change") -> str:
        """Commits and tells the fetcher by webhook; the commit's id. A fetcher that is away polls when it is back."""
        sha = await self.repository.commit(message, files)
        with contextlib.suppress(OSError):
            await self.tell(sha)
        return sha

    async def tell(self, sha: str, secret: bytes | None = None) -> int:
        """The webhook of a push, signed with the installation's secret or another; the answer's status."""
        key = self.session.hub.identity.webhook_secret_file.read_bytes() if secret is None else secret
        body = json.dumps({"ref": "refs/heads/main", "after": sha}).encode()
        signature = hmac.new(key, body, hashlib.sha256).hexdigest()
        asked = urllib.request.Request(
            self.session.hub.webhook_url, data=body, headers={"X-Hub-Signature-256": f"sha256={signature}"}
        )
        return await asyncio.to_thread(_status, asked)

    # --- the API -------------------------------------------------------------------

    async def ask(self, path: str, **query: str) -> Any:
        """One answer of the API. KnarrError when it refuses or does not answer."""
        api = Api(base=self.session.hub.page_url, token=self.session.hub.identity.token_file.read_text())
        return await asyncio.to_thread(lambda: api.get(path, **query))

    async def commit_in(self, sha: str, states: tuple[str, ...] = SETTLED, seconds: float = 30.0) -> Row:
        """The commit once the API says that it is in one of `states`."""

        async def look() -> Row | None:
            items = (await self.ask("commits", sha=sha, limit="1"))["items"]
            seen[:] = [items[0]["state"]] if items else []
            return items[0] if items and items[0]["state"] in states else None

        seen: list[str] = []
        return await until(f"commit {sha[:8]} {states}", look, seconds, lambda: seen)

    async def pushed(self, files: Files, message: str = "a change", seconds: float = 30.0) -> str:
        """Commits and waits until every cluster is healthy on it."""
        sha = await self.push(files, message)
        await self.commit_in(sha, seconds=seconds)
        return sha

    async def placement(self, cluster: str, app: str) -> Row | None:
        """An app in a cluster, as the API tells it."""
        placements = (await self.ask(f"clusters/{cluster}"))["placements"]
        return next((p for p in placements if p["app"] == app), None)

    async def at_rest(self, seconds: float = 30.0) -> None:
        """Every cluster healthy, and every agent has said that it applied its newest assignment."""

        async def look() -> bool:
            clusters = (await self.ask("clusters", limit="1000"))["items"]
            seen[:] = [(c["name"], c["standing"], c["generation_assigned"], c["generation_applied"]) for c in clusters]
            return all(c[1] == "healthy" and c[2] == c[3] for c in seen)

        seen: list[tuple[object, ...]] = []
        await until("every cluster being at rest", look, seconds, lambda: seen)

    # --- the clusters -----------------------------------------------------------------

    def folder(self, cluster: str) -> Path:
        """Where a simulated cluster lies."""
        return self.session.place.clusters / cluster

    def objects(self, cluster: str) -> Objects:
        """What the cluster holds now."""
        found = Objects(journal=None, clock=time.time)
        journal = self.folder(cluster) / "objects.journal"
        found.replay(journal.read_bytes() if journal.exists() else b"")
        return found

    def value(self, cluster: str, namespace: str, name: str) -> str | None:
        """The text of a ConfigMap; None when it is not there."""
        found = self.objects(cluster).get(("", "ConfigMap", namespace, name))
        return None if found is None else str(found["data"]["value"])

    def values(self, namespace: str, name: str) -> dict[str, str | None]:
        """The text of a ConfigMap in every cluster."""
        return {cluster: self.value(cluster, namespace, name) for cluster in self.plan.clusters}

    async def everywhere(self, namespace: str, name: str, value: str, seconds: float = 30.0) -> None:
        """Returns when the ConfigMap says `value` in every cluster."""
        wanted = dict.fromkeys(self.plan.clusters, value)

        async def look() -> bool:
            return self.values(namespace, name) == wanted

        await until(f"{namespace}/{name}={value}", look, seconds, lambda: self.values(namespace, name))

    def names(self, cluster: str, namespace: str) -> frozenset[str]:
        """The ConfigMaps of a namespace."""
        return frozenset(
            n for _, kind, space, n in self.objects(cluster).found if (kind, space) == ("ConfigMap", namespace)
        )

    def versions(self, cluster: str, namespace: str) -> dict[str, str]:
        """ConfigMap → resourceVersion: unchanged means that nobody wrote."""
        objects = self.objects(cluster)
        found = {name: objects.get(("", "ConfigMap", namespace, name)) for name in self.names(cluster, namespace)}
        return {name: str(item["metadata"]["resourceVersion"]) for name, item in found.items() if item is not None}

    def uids(self, cluster: str) -> dict[str, str]:
        """Namespace/name → uid of every ConfigMap: an object that was deleted and made anew has another."""
        objects = self.objects(cluster)
        found = {(key[2], key[3]): objects.get(key) for key in objects.found if key[1] == "ConfigMap"}
        return {f"{space}/{name}": str(item["metadata"]["uid"]) for (space, name), item in found.items() if item}

    def edit(self, cluster: str, namespace: str, name: str, value: str) -> None:
        """Somebody's hand."""
        outside.edit(self.folder(cluster), f"/ConfigMap/{namespace}/{name}", {"data": {"value": value}})

    # --- processes and streams ------------------------------------------------------------

    def part(self, name: str) -> Part:
        """A process by its name: fetcher, renderer, rollout, status, agents-simulated, agent-<cluster>."""
        return next(p for p in self.session.parts if p.name == name)

    async def last_sequence(self, stream: str) -> int:
        """How many messages a stream has ever taken."""
        info = await self.broker.jetstream().stream_info(stream)
        return int(info.state.last_seq)

    async def subjects(self, stream: str) -> frozenset[str]:
        """The subjects of a stream that hold a message."""
        return await self.broker.subjects_of(stream, ">")


def _status(asked: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


async def until(
    what: str,
    look: Callable[[], Awaitable[T | None]],
    seconds: float = 30.0,
    seen: Callable[[], object] = lambda: "",
) -> T:
    """The first true answer of `look`. An AssertionError that says what was seen last, after the deadline."""
    deadline = time.monotonic() + seconds
    last = ""
    while time.monotonic() < deadline:
        try:
            found = await look()
        except KnarrError as error:
            last = str(error)
        else:
            if found:
                return found
        await asyncio.sleep(_LOOK_SECONDS)
    raise AssertionError(f"{what}: not within {seconds:g} s; last seen: {seen()} {last}")


@asynccontextmanager
async def house(state: Path, plan: Plan | None = None) -> AsyncIterator[House]:
    """Built from nothing, or on what an earlier house left in `state`; every cluster enrolled."""
    wanted = plan or Plan()
    async with GitServer(state / "git") as git:
        exists = (git.root / "fleet.git").exists()
        secret = Identity(state / "keys").webhook_secret_file.read_bytes()
        repository = Repository(git=git.repository("fleet") if exists else git.create("fleet"), webhook_secret=secret)
        if not exists:
            await repository.commit("The fleet", wanted.files)
        async with running(state, wanted, git, repository) as made:
            await _enrolled(made)
            yield made


@asynccontextmanager
async def running(state: Path, plan: Plan, git: GitServer, repository: Repository) -> AsyncIterator[House]:
    """The installation alone, on a Git host that is there already."""
    options = UpOptions(
        # The bare repository's folder is what `find_fleet` reads; the fetcher goes over HTTP.
        fleet=git.http_url("fleet"),
        state=state,
        kubeconfig=state / "none",
        clusters=tuple(LocalCluster(name=name) for name in plan.clusters),
        apart=plan.apart,
        poll=plan.poll,
        environment=plan.environment,
        heartbeat_seconds=plan.heartbeat_seconds,
    )
    async with installation(options, lambda _text: None) as session:
        seed = session.hub.identity.service_seed_file(ADMIN).read_text()
        async with Broker(BrokerSettings(urls=(session.hub.nats.url,), name=ADMIN, nkey_seed=seed)) as broker:
            await broker.wait_connected(10)
            yield House(plan=plan, state=state, git=git, repository=repository, session=session, broker=broker)


async def _enrolled(made: House) -> None:
    async def look() -> bool:
        clusters = (await made.ask("clusters", limit="1000"))["items"]
        return sum(1 for c in clusters if c["member"] and c["heard_at_ms"]) == len(made.plan.clusters)

    await until("every cluster enrolling", look, 60.0)
