"""The hub of an installation: broker, database and the four services, started in order and stopped in reverse."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from knarr.cli.install.access import Access
from knarr.cli.install.fleet import FleetPlace
from knarr.cli.install.identity import ADMIN, Identity
from knarr.cli.install.parts import Part, Say, start_together
from knarr.cli.install.place import Place
from knarr.local.nats import NatsServer
from knarr.local.postgres import PostgresServer
from knarr.local.tools import kustomize_command
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.permissions import accounts_config, server_text
from knarr.messaging.streams import ensure_streams

SERVICES = ("fetcher", "renderer", "rollout", "status")
_JETSTREAM = "limits { default_max_consumers: -1 }"
_DATABASE = "knarr"


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """What the person asked for. `fleet_ref` empty: the repository's default branch."""

    fleet: FleetPlace
    fleet_ref: str = ""
    fleet_path: str = ""
    poll_seconds: float = 5.0
    access: Access = field(default_factory=Access)
    clusters: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Hub:
    """A running hub."""

    nats: NatsServer
    postgres: PostgresServer
    identity: Identity
    place: Place
    ports: dict[str, int]
    parts: list[Part] = field(default_factory=list)

    @property
    def page_url(self) -> str:
        """The web page and the API's base."""
        return f"http://127.0.0.1:{self.ports['status']}"

    @property
    def webhook_url(self) -> str:
        """Where a Git host posts its pushes for the fleet's source."""
        return f"http://127.0.0.1:{self.ports['fetcher']}/webhook/fleet"


@asynccontextmanager
async def running_hub(place: Place, identity: Identity, options: HubOptions, say: Say) -> AsyncIterator[Hub]:
    """Everything up and ready; all of it stopped at the end, whatever happened."""
    ports = place.ports(("nats", *SERVICES))
    async with AsyncExitStack() as stack:
        say("starting NATS and PostgreSQL")
        nats = NatsServer(
            place.part("nats"),
            accounts=_accounts(identity, options.clusters),
            jetstream=_JETSTREAM,
            port=ports["nats"],
        )
        postgres = PostgresServer(place.part("postgres"), disposable=False)
        await stack.enter_async_context(nats)
        await stack.enter_async_context(postgres)
        await _make_streams(nats.url, identity)
        await _make_schemas(postgres)
        hub = Hub(nats=nats, postgres=postgres, identity=identity, place=place, ports=ports)
        for name in SERVICES:
            environment = {**_common(hub, name), **_own(hub, name, options), **options.environment}
            part = Part(name, f"knarr.{name}", environment, place.logs, ports[name])
            stack.push_async_callback(part.stop)
            hub.parts.append(part)
        say("starting " + ", ".join(SERVICES))
        await start_together(hub.parts)
        yield hub


def passed_on() -> dict[str, str]:
    """What of the caller's environment every process is to have: the tracing backend, the log level."""
    return {k: v for k, v in os.environ.items() if k.startswith("OTEL_") or k == "KNARR_LOG_LEVEL"}


def _accounts(identity: Identity, clusters: tuple[str, ...]) -> str:
    admin, services, agents = identity.users(clusters)
    return server_text(accounts_config(admin=admin, services=services, clusters=agents))


def _common(hub: Hub, name: str) -> dict[str, str]:
    return {
        **passed_on(),
        "KNARR_NATS_URL": hub.nats.url,
        "KNARR_NKEY_SEED_FILE": str(hub.identity.service_seed_file(name)),
        "KNARR_LISTEN": f"127.0.0.1:{hub.ports[name]}",
        "KNARR_STATE_DIR": str(hub.place.part(name)),
    }


def _own(hub: Hub, name: str, options: HubOptions) -> dict[str, str]:
    identity = hub.identity
    match name:
        case "fetcher":
            return {
                **options.access.environment(),
                "KNARR_FLEET_URL": options.fleet.url,
                "KNARR_FLEET_REF": options.fleet_ref,
                "KNARR_FLEET_PATH": options.fleet_path,
                "KNARR_POLL_SECONDS": str(options.poll_seconds),
                "KNARR_ALLOW_LOCAL_PATHS": "true",
                "KNARR_SNAPSHOT_KEY_FILE": str(identity.snapshot_key_file),
                "KNARR_WEBHOOK_SECRET_FILE": str(identity.webhook_secret_file),
            }
        case "renderer":
            return {
                "KNARR_SNAPSHOT_KEY_FILE": str(identity.snapshot_key_file),
                "KNARR_BUNDLE_KEY_FILE": str(identity.bundle_key_file),
                "KNARR_KUSTOMIZE": " ".join(kustomize_command().argv),
            }
        case "rollout":
            return {
                "KNARR_DATABASE_DSN": hub.postgres.dsn("knarr_rollout", _DATABASE),
                "KNARR_EPOCH": identity.epoch,
                "KNARR_SIGNING_KEY_FILE": str(identity.signing_key_file),
                "KNARR_BUNDLE_KEY_FILE": str(identity.bundle_key_file),
            }
    return {
        "KNARR_DATABASE_DSN": hub.postgres.dsn("knarr_status", _DATABASE),
        "KNARR_API_TOKEN_FILE": str(identity.token_file),
    }


async def _make_streams(url: str, identity: Identity) -> None:
    seed = identity.service_seed_file(ADMIN).read_text()
    async with Broker(BrokerSettings(urls=(url,), name=ADMIN, nkey_seed=seed)) as broker:
        await broker.wait_connected(30.0)
        await ensure_streams(broker.jetstream())


async def _make_schemas(postgres: PostgresServer) -> None:
    """One schema and one role per service; neither can read the other's tables."""
    await postgres.create_database(_DATABASE)
    connection = await asyncpg.connect(postgres.dsn(database=_DATABASE))
    try:
        for schema in ("rollout", "status"):
            await postgres.create_role(f"knarr_{schema}")
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION knarr_{schema}")
    finally:
        await connection.close()
