"""One `knarr up`, from the first check to the last process stopped."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from knarr.cli.api import Api
from knarr.cli.install.access import Access
from knarr.cli.install.agents import Wishes, agent_parts
from knarr.cli.install.clusters import LocalCluster, from_contexts, simulated, without_clash
from knarr.cli.install.fleet import FleetPlace, find_fleet
from knarr.cli.install.hub import Hub, HubOptions, running_hub
from knarr.cli.install.identity import Identity
from knarr.cli.install.parts import Part, Say, keep_alive, start_together
from knarr.cli.install.place import Place, Running, default_state
from knarr.cli.install.preflight import Outlook, look_ahead
from knarr.pipeline.errors import rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """What was asked on the command line."""

    fleet: str
    state: Path
    kubeconfig: Path
    ref: str = ""
    contexts: tuple[str, ...] = ()
    simulate: int = 0
    adopt: frozenset[str] = frozenset()
    poll: float = 5.0
    access: Access = field(default_factory=Access)
    # Given by the demo, which makes its own clusters; `apart` have an agent process each, so that one can be stopped.
    clusters: tuple[LocalCluster, ...] = ()
    apart: frozenset[str] = frozenset()
    # Given by tests and benchmarks: variables over those of every process, and how often a cluster says that it lives.
    environment: Mapping[str, str] = field(default_factory=dict)
    heartbeat_seconds: float = 60.0

    @staticmethod
    def of(asked: Mapping[str, Any]) -> UpOptions:
        """From click's values."""
        kubeconfig = asked["kubeconfig"] or os.environ.get("KUBECONFIG") or Path.home() / ".kube" / "config"
        return UpOptions(
            fleet=asked["fleet"],
            state=Path(asked["state"] or default_state()),
            kubeconfig=Path(str(kubeconfig).partition(os.pathsep)[0]),
            ref=asked["ref"],
            contexts=tuple(asked["contexts"]),
            simulate=asked["simulate"],
            adopt=frozenset(asked["adopt"]),
            poll=asked["poll"],
            access=Access(credentials_file=asked["credentials"], name=asked["fleet_credentials"]),
        )


@dataclass(slots=True, kw_only=True)
class Session:
    """A running installation."""

    hub: Hub
    agents: list[Part]
    clusters: tuple[LocalCluster, ...]
    place: Place

    @property
    def parts(self) -> list[Part]:
        """Every process of Knarr's own."""
        return [*self.hub.parts, *self.agents]

    def watches(self, say: Say, *, but: str = "") -> list[Coroutine[Any, Any, None]]:
        """One endless watch per process, broker and database included; `but`: a part that is stopped on purpose."""
        nats, postgres = self.hub.nats, self.hub.postgres
        servers = [
            keep_alive("NATS", nats.process, nats.start, say),
            keep_alive("PostgreSQL", postgres.process, postgres.start, say),
        ]
        return servers + [part.watch(say) for part in self.parts if not but or but not in part.name]


@asynccontextmanager
async def installation(options: UpOptions, say: Say) -> AsyncIterator[Session]:
    """Hub and agents up; all stopped at the end."""
    fleet = await asyncio.to_thread(find_fleet, options.fleet, options.ref, options.access)
    clusters = options.clusters or _clusters(options, fleet)
    options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = Place(options.state.resolve())
    identity = Identity(place.keys)
    outlook = await look_ahead(clusters, place, identity.epoch, options.adopt, say)
    hub_options = HubOptions(
        fleet=fleet,
        fleet_ref=options.ref,
        poll_seconds=options.poll,
        access=options.access,
        clusters=tuple(c.name for c in clusters),
        environment=options.environment,
    )
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(running_hub(place, identity, hub_options, say))
        await _renew(hub, outlook)
        wishes = Wishes(
            silent=outlook.silent,
            adopt=options.adopt,
            apart=options.apart,
            environment=options.environment,
            heartbeat_seconds=options.heartbeat_seconds,
        )
        agents = agent_parts(hub, clusters, wishes)
        for part in agents:
            stack.push_async_callback(part.stop)
        say(f"starting the agents of {len(clusters)} clusters")
        await start_together(agents)
        place.announce(
            Running(
                api=hub.page_url,
                page=hub.page_url,
                token_file=str(identity.token_file),
                pid=os.getpid(),
                webhook=hub.webhook_url,
                nats=hub.nats.url,
            )
        )
        stack.callback(place.withdraw)
        yield Session(hub=hub, agents=agents, clusters=clusters, place=place)


async def _renew(hub: Hub, outlook: Outlook) -> None:
    """Rollout refuses a known name with another UID until it is told; the agents start after that."""
    api = Api(base=hub.page_url, token=hub.identity.token_file.read_text().strip())
    for name in sorted(outlook.recreated):
        reason = {"reason": "knarr up --adopt", "actor": getpass.getuser()}
        await asyncio.to_thread(api.post, f"clusters/{name}/adopt", reason)
    hub.place.keep_uids(outlook.uids)


def _clusters(options: UpOptions, fleet: FleetPlace) -> tuple[LocalCluster, ...]:
    if options.contexts and not options.kubeconfig.exists():
        raise rejected("KNR6206", f"there is no kubeconfig at {options.kubeconfig}")
    real = from_contexts(options.contexts, options.kubeconfig)
    taken = frozenset(c.name for c in real)
    clusters = without_clash((*real, *simulated(options.simulate, fleet.documented, taken)))
    if not clusters:
        raise rejected("KNR6207", "no cluster: give --context CONTEXT, or --simulate N")
    return clusters


async def run_up(options: UpOptions) -> None:
    """Until Ctrl-C or SIGTERM."""

    def say(text: str) -> None:
        print(f"knarr: {text}", flush=True)

    async with installation(options, say) as session:
        say(f"page      {session.hub.page_url}")
        say(f"token     {session.hub.identity.token_file} (writes need it; `knarr approve` reads it)")
        say(f"webhook   {session.hub.webhook_url}")
        say(f"state     {session.place.folder}")
        say("running; Ctrl-C stops it and leaves the workloads")
        await until_stopped(session, say)
        say("stopping")


async def until_stopped(session: Session, say: Say) -> None:
    """Watches every part until a signal comes, or one part dies too often."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(watch) for watch in session.watches(say)]
        with contextlib.suppress(asyncio.CancelledError):
            await stopped.wait()
        for task in watching:
            task.cancel()
