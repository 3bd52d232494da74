"""A broker with both accounts, as an installation has it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import nkeys
import pytest

from knarr.local.nats import NatsServer
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.permissions import SERVICE_GRANTS, User, accounts_config, server_text
from knarr.messaging.streams import ensure_streams


@dataclass(slots=True)
class Installation:
    """The server and everybody's seed."""

    server: NatsServer
    seeds: dict[str, str] = field(default_factory=dict)

    def settings(self, name: str) -> BrokerSettings:
        """Connection settings of a user; only the admin has the default inbox."""
        inbox = "_INBOX" if name == "admin" else f"_INBOX_{name}"
        return BrokerSettings(
            urls=(self.server.url,),
            name=name,
            nkey_seed=self.seeds[name],
            inbox_prefix=inbox,
            request_timeout_seconds=1.0,
            reconnect_seconds=(0.05, 0.1),
        )


def new_user(name: str) -> tuple[User, str]:
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return User(name=name, public_nkey=nkeys.from_seed(seed).public_key.decode()), seed.decode()


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    """Two clusters, c1 and c2, all services, and an admin."""
    users = {name: new_user(name) for name in ("admin", *SERVICE_GRANTS, "c1", "c2")}
    accounts = accounts_config(
        admin=users["admin"][0],
        services=[users[name][0] for name in SERVICE_GRANTS],
        clusters=[users["c1"][0], users["c2"][0]],
    )
    async with NatsServer(tmp_path / "accounts", accounts=server_text(accounts)) as server:
        made = Installation(server=server, seeds={name: seed for name, (_, seed) in users.items()})
        async with Broker(made.settings("admin")) as admin:
            await admin.wait_connected(10)
            await ensure_streams(admin.jetstream())
        yield made


@pytest.fixture
async def admin(installation: Installation) -> AsyncIterator[Broker]:
    """The administrator's connection."""
    async with Broker(installation.settings("admin")) as broker:
        await broker.wait_connected(10)
        yield broker
