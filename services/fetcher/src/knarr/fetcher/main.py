"""The fetcher as a process: a list of its parts."""

from __future__ import annotations

import os
import sys
import time
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web
from nats.aio.msg import Msg

from knarr.fetcher.adapters.broker.log import CommitLog
from knarr.fetcher.adapters.broker.vault import SnapshotVault
from knarr.fetcher.adapters.charts.archives import ArchiveFolder
from knarr.fetcher.adapters.charts.repositories import WebCharts
from knarr.fetcher.adapters.charts.web import Web
from knarr.fetcher.adapters.credentials import CredentialsFile
from knarr.fetcher.adapters.git.opener import MirrorOpener
from knarr.fetcher.adapters.git.process import configure_libgit2, trust_hosts
from knarr.fetcher.adapters.openpgp import SequoiaOpenPgp
from knarr.fetcher.adapters.state import StateFile
from knarr.fetcher.adapters.webhook import Webhook
from knarr.fetcher.core.webhook import BODY_BYTES
from knarr.fetcher.fleet import FleetFollower
from knarr.fetcher.resolve import ChartParts, Patience
from knarr.fetcher.settings import Settings, read_settings
from knarr.fetcher.snapshot import Parts
from knarr.messaging.broker import Broker, BrokerSettings
from knarr.messaging.subjects import missing_subject
from knarr.service.health import health_routes, serve
from knarr.service.process import run_service


async def run(settings: Settings) -> None:
    """Runs until cancelled."""
    home = settings.state_dir / "home"
    configure_libgit2(home, ca_bundle=settings.network.ca_bundle)
    credentials = CredentialsFile(settings.credentials_file, settings.webhook_secret)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker(_broker_settings(settings)))
        vault = SnapshotVault(broker, settings.snapshot_key)
        stack.callback(vault.close)
        state = StateFile(settings.state_dir / "fetcher.sqlite")
        stack.push_async_callback(state.close)
        web_of_charts = Web(
            hosts=settings.network.chart_hosts,
            plain_http=settings.rules.plain_http,
            ca_bundle=settings.network.ca_bundle,
        )
        stack.push_async_callback(web_of_charts.close)
        charts = ChartParts(
            charts=WebCharts(web_of_charts, credentials, settings.rules, settings.network.proxy),
            archives=ArchiveFolder(settings.state_dir / "charts"),
            patience=Patience(time.monotonic),
        )
        parts = Parts(
            vault=vault,
            index=state,
            memory=state,
            log=CommitLog(broker),
            openpgp=SequoiaOpenPgp(),
            charts=charts,
            now=time.time,
            limits=settings.limits,
        )
        opener = MirrorOpener(
            folder=settings.state_dir / "mirrors",
            credentials=credentials,
            bounds=settings.bounds,
            limits=settings.limits,
            trust=partial(trust_hosts, home),
            proxy=settings.network.proxy,
        )
        fleet = FleetFollower(settings.fleet, parts, opener, settings.rhythm, settings.rules)
        application = web.Application(client_max_size=BODY_BYTES)
        application.add_routes(Webhook(credentials.webhook_secret, fleet.wake).routes())
        application.add_routes(
            health_routes(
                {
                    "broker": lambda: "" if broker.connected else "not connected",
                    "fleet": lambda: "" if fleet.ready else "not looked at yet",
                }
            )
        )
        await stack.enter_async_context(serve(application, settings.listen))

        async def look_again() -> None:
            fleet.wake_all()

        async def missed(message: Msg) -> None:
            fleet.audit(message.subject.partition(".")[2])

        broker.on_connected(look_again)
        await broker.subscribe(missing_subject("*"), missed)
        await fleet.run()


def _broker_settings(settings: Settings) -> BrokerSettings:
    return BrokerSettings(
        urls=settings.nats_urls, name="fetcher", nkey_seed=settings.nkey_seed, inbox_prefix="_INBOX_fetcher"
    )


def main() -> int:
    """Reads settings and runs. Exit code 1 with numbered errors on stderr."""

    async def start() -> None:
        await run(read_settings(os.environ))

    return run_service("fetcher", start)


if __name__ == "__main__":
    sys.exit(main())
